-- SQLite 3.41 or later. uuid = 16 bytes; time = RFC 3339 text; no roles and no row security: org_id in each statement is the wall.
create table contacts (
  id blob primary key not null, org_id blob not null, project_id blob not null, name text not null,
  phone text, phone_key blob, email text, email_key blob, created_at text not null, updated_at text not null,
  unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id)) strict;
create unique index contacts_phone on contacts (project_id, phone_key) where phone_key is not null;
create index contacts_email on contacts (project_id, email_key) where email_key is not null;
create table leads (
  id blob primary key not null, org_id blob not null, project_id blob not null, contact_id blob, source text not null,
  status text not null check (status in ('new', 'contacted', 'qualified', 'disqualified', 'proposal', 'won', 'lost')),
  name text not null, phone_raw text, phone text, phone_key blob, email text, message text, score integer,
  is_test integer not null default 0 check (is_test in (0, 1)), blocked text, answers text not null default '{}',
  raw_payload text not null default '{}', call_sid text, call_transcription text, call_analysis text, call_duration integer,
  recording_url text, version integer not null default 1, created_at text not null, updated_at text not null,
  unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (contact_id, org_id) references contacts (id, org_id)) strict;
create index leads_page on leads (org_id, project_id, created_at desc, id desc);
create index leads_phone on leads (org_id, project_id, phone_key) where phone_key is not null;
create index leads_recording on leads (org_id, recording_url) where recording_url is not null;
create index leads_contact on leads (contact_id);
create table lead_keys (
  project_id blob not null, source text not null, external_id text not null,
  org_id blob not null, lead_id blob not null, ticket_id blob not null,
  primary key (project_id, source, external_id), foreign key (project_id, org_id) references projects (id, org_id)) strict;
create table tickets (
  id blob primary key not null, org_id blob not null, project_id blob not null, task text not null, actor text not null, lead_id blob,
  state text not null check (state in ('accepted', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'dead')),
  seq integer not null default 0, due_at text, cancel_requested_at text,
  params text not null default '{}', result text, code text, created_by text not null,
  in_hand text, crashes integer not null default 0, created_at text not null, updated_at text not null,
  check ((due_at is null) = (state in ('completed', 'failed', 'cancelled', 'dead'))),
  unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id)) strict;
create index tickets_due on tickets (due_at, id) where due_at is not null;
create index tickets_in_hand on tickets (id) where in_hand is not null;
create index tickets_page on tickets (org_id, project_id, created_at desc, id desc);
create index tickets_lead on tickets (lead_id);
create table ticket_events (
  ticket_id blob not null, seq integer not null, org_id blob not null, kind text not null, step text,
  data text not null default '{}', at text not null,
  primary key (ticket_id, seq), foreign key (ticket_id, org_id) references tickets (id, org_id)) strict;
create unique index ticket_events_step on ticket_events (ticket_id, step) where kind = 'step';
create index ticket_events_at on ticket_events (at);
create table events (
  id blob primary key not null, org_id blob not null, project_id blob not null, kind text not null, ref_id blob not null,
  correlation_id blob not null, actor text not null, payload text not null default '{}', trace_id text,
  at text not null, position integer,
  foreign key (project_id, org_id) references projects (id, org_id)) strict;
create index events_new on events (at, id) where position is null;
create unique index events_feed on events (position) where position is not null;
create index events_org_feed on events (org_id, position) where position is not null;
