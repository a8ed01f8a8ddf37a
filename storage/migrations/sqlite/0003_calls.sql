-- SQLite 3.41 or later. uuid = 16 bytes; time = RFC 3339 text; no roles and no row security: org_id in each statement is the wall.
create table bridges (
  id blob primary key not null, org_id blob not null, project_id blob not null, lead_id blob not null, ticket_id blob not null,
  plan text not null, open integer not null default 1 check (open in (0, 1)), accepted_sid text, outcome text, created_at text not null,
  closed_at text, unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (lead_id, org_id) references leads (id, org_id), foreign key (ticket_id, org_id) references tickets (id, org_id)) strict;
create unique index bridges_open on bridges (lead_id) where open;
create index bridges_lead on bridges (lead_id);
create index bridges_ticket on bridges (ticket_id);
create table effects (
  id blob primary key not null, org_id blob not null, project_id blob not null, bridge_id blob, ticket_id blob not null,
  kind text not null check (kind in ('call', 'sms', 'charge', 'publish')), key text not null,
  account text, to_number text, from_number text, body text, sid text, sender text, sender_fence integer,
  state text not null check (state in ('intended', 'sending', 'live', 'refused', 'unknown', 'held')), reason text,
  created_at text not null, sent_at text, updated_at text not null,
  check (kind <> 'call' or (account is not null and to_number is not null)),
  check (state = 'intended' or sender is not null),
  unique (id, org_id), unique (project_id, key), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (bridge_id, org_id) references bridges (id, org_id), foreign key (ticket_id, org_id) references tickets (id, org_id)) strict;
create unique index effects_one_call on effects (account, to_number) where kind = 'call' and state in ('sending', 'unknown');
create unique index effects_sid on effects (account, sid) where sid is not null;
create index effects_bridge on effects (bridge_id);
create index effects_ticket on effects (ticket_id);
create index effects_open on effects (project_id, created_at) where state in ('intended', 'sending', 'unknown', 'held');
create table call_inbox (
  id blob primary key not null, org_id blob not null, project_id blob not null, ticket_id blob not null, effect_id blob not null,
  account text not null, sid text not null, kind text not null, digest blob not null, report text not null,
  received_at text not null, handled_at text,
  unique (account, sid, kind, digest), foreign key (project_id, org_id) references projects (id, org_id)) strict;
create index call_inbox_ticket on call_inbox (ticket_id, received_at);
create index call_inbox_open on call_inbox (received_at) where handled_at is null;
create table usage_ledger (
  id blob primary key not null, org_id blob not null, project_id blob not null, key text not null, resource text not null,
  quantity_milli integer not null, micros integer not null, ref_id blob, at text not null,
  unique (project_id, key), foreign key (project_id, org_id) references projects (id, org_id)) strict;
create index usage_month on usage_ledger (org_id, project_id, at);
