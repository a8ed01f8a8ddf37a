create table bridges (
  id uuid primary key, org_id uuid not null, project_id uuid not null, lead_id uuid not null, ticket_id uuid not null,
  plan jsonb not null, open boolean not null default true, accepted_sid text, outcome text, created_at timestamptz not null,
  closed_at timestamptz, unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (lead_id, org_id) references leads (id, org_id), foreign key (ticket_id, org_id) references tickets (id, org_id));
create unique index bridges_open on bridges (lead_id) where open;
create index bridges_lead on bridges (lead_id);
create index bridges_ticket on bridges (ticket_id);
create table effects (
  id uuid primary key, org_id uuid not null, project_id uuid not null, bridge_id uuid, ticket_id uuid not null,
  kind text not null check (kind in ('call', 'sms', 'charge', 'publish')), key text not null,
  account text, to_number text, from_number text, body text, sid text, sender text, sender_fence bigint,
  state text not null check (state in ('intended', 'sending', 'live', 'refused', 'unknown', 'held')), reason text,
  created_at timestamptz not null, sent_at timestamptz, updated_at timestamptz not null,
  check (kind <> 'call' or (account is not null and to_number is not null)),
  check (state = 'intended' or sender is not null),
  unique (id, org_id), unique (project_id, key), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (bridge_id, org_id) references bridges (id, org_id), foreign key (ticket_id, org_id) references tickets (id, org_id));
create unique index effects_one_call on effects (account, to_number) where kind = 'call' and state in ('sending', 'unknown');
create unique index effects_sid on effects (account, sid) where sid is not null;
create index effects_bridge on effects (bridge_id);
create index effects_ticket on effects (ticket_id);
create index effects_open on effects (project_id, created_at) where state in ('intended', 'sending', 'unknown', 'held');
-- A callback is intake: no key to an effect, since an unknown one is stored too.
create table call_inbox (
  id uuid primary key, org_id uuid not null, project_id uuid not null, ticket_id uuid not null, effect_id uuid not null,
  account text not null, sid text not null, kind text not null, digest bytea not null, report jsonb not null,
  received_at timestamptz not null, handled_at timestamptz,
  unique (account, sid, kind, digest), foreign key (project_id, org_id) references projects (id, org_id));
create index call_inbox_ticket on call_inbox (ticket_id, received_at);
create index call_inbox_open on call_inbox (received_at) where handled_at is null;
create table usage_ledger (
  id uuid primary key, org_id uuid not null, project_id uuid not null, key text not null, resource text not null,
  quantity_milli bigint not null, micros bigint not null, ref_id uuid, at timestamptz not null,
  unique (project_id, key), foreign key (project_id, org_id) references projects (id, org_id));
create index usage_month on usage_ledger (org_id, project_id, at) include (micros);
do $$ declare t text; begin
  foreach t in array array['bridges', 'effects', 'call_inbox', 'usage_ledger'] loop perform apex_protect(t); end loop;
end $$;
revoke update, delete on usage_ledger from app_rt;
create policy worker on call_inbox for select to app_worker using (true);
grant select (id, org_id, project_id, ticket_id, received_at, handled_at) on call_inbox to app_worker;
