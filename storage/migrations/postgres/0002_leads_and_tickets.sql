create table contacts (
  id uuid primary key, org_id uuid not null, project_id uuid not null, name text not null,
  phone text, phone_key bytea, email text, email_key bytea, created_at timestamptz not null, updated_at timestamptz not null,
  unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id));
create unique index contacts_phone on contacts (project_id, phone_key) where phone_key is not null;
create index contacts_email on contacts (project_id, email_key) where email_key is not null;
create table leads (
  id uuid primary key, org_id uuid not null, project_id uuid not null, contact_id uuid, source text not null,
  status text not null check (status in ('new', 'contacted', 'qualified', 'disqualified', 'proposal', 'won', 'lost')),
  name text not null, phone_raw text, phone text, phone_key bytea, email text, message text, score bigint,
  is_test boolean not null default false, blocked text, answers jsonb not null default '{}',
  raw_payload jsonb not null default '{}', call_sid text, call_transcription text, call_analysis jsonb, call_duration bigint,
  recording_url text, version bigint not null default 1, created_at timestamptz not null, updated_at timestamptz not null,
  unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (contact_id, org_id) references contacts (id, org_id));
create index leads_page on leads (org_id, project_id, created_at desc, id desc);
create index leads_phone on leads (org_id, project_id, phone_key) where phone_key is not null;
create index leads_recording on leads (org_id, recording_url) where recording_url is not null;
create index leads_contact on leads (contact_id);
-- Outlives its lead: no key to it, no personal data.
create table lead_keys (
  project_id uuid not null, source text not null, external_id text not null,
  org_id uuid not null, lead_id uuid not null, ticket_id uuid not null,
  primary key (project_id, source, external_id), foreign key (project_id, org_id) references projects (id, org_id));
create table tickets (
  id uuid primary key, org_id uuid not null, project_id uuid not null, task text not null, actor text not null, lead_id uuid,
  state text not null check (state in ('accepted', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'dead')),
  seq bigint not null default 0, due_at timestamptz, cancel_requested_at timestamptz,
  params jsonb not null default '{}', result jsonb, code text, created_by text not null,
  in_hand text, crashes bigint not null default 0, created_at timestamptz not null, updated_at timestamptz not null,
  -- Unfinished means due: the sweep's partial index is then implied by "due_at <= $1", whatever the states are called.
  check ((due_at is null) = (state in ('completed', 'failed', 'cancelled', 'dead'))),
  unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id));
create index tickets_due on tickets (due_at, id) where due_at is not null;
create index tickets_in_hand on tickets (id) where in_hand is not null;
create index tickets_page on tickets (org_id, project_id, created_at desc, id desc);
create index tickets_lead on tickets (lead_id);
create table ticket_events (
  ticket_id uuid not null, seq bigint not null, org_id uuid not null, kind text not null, step text,
  data jsonb not null default '{}', at timestamptz not null,
  primary key (ticket_id, seq), foreign key (ticket_id, org_id) references tickets (id, org_id));
create unique index ticket_events_step on ticket_events (ticket_id, step) where kind = 'step';
create index ticket_events_at on ticket_events (at);
create table events (
  id uuid primary key, org_id uuid not null, project_id uuid not null, kind text not null, ref_id uuid not null,
  correlation_id uuid not null, actor text not null, payload jsonb not null default '{}', trace_id text,
  at timestamptz not null, position bigint,
  foreign key (project_id, org_id) references projects (id, org_id));
create index events_new on events (at, id) where position is null;
create unique index events_feed on events (position) where position is not null;
create index events_org_feed on events (org_id, position) where position is not null;
do $$ declare t text; begin
  foreach t in array array['contacts', 'leads', 'lead_keys', 'tickets', 'ticket_events', 'events'] loop
    perform apex_protect(t);
  end loop;
  foreach t in array array['leads', 'lead_keys', 'tickets', 'ticket_events', 'events'] loop
    execute format('create policy ingest on %I for insert to app_ingest with check (true)', t);
    execute format('grant insert on %I to app_ingest', t);
  end loop;
  foreach t in array array['tickets', 'events'] loop
    execute format('create policy worker on %I for select to app_worker using (true)', t);
  end loop;
end $$;
-- RETURNING and a conflict target need SELECT.
create policy ingest_read on lead_keys for select to app_ingest using (true);
grant select on lead_keys to app_ingest;
-- Journals are appended.
revoke update, delete on ticket_events, lead_keys from app_rt;
revoke delete on events from app_rt;
grant select (id, org_id, project_id, task, actor, state, due_at, in_hand) on tickets to app_worker;
grant select, update (position) on events to app_worker;
create policy worker_number on events for update to app_worker using (true) with check (true);
