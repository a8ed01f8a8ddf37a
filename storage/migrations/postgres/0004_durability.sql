-- A journal entry that a decision led to holds what the decision looked at; a dry replay decides again from that.
alter table ticket_events add column basis jsonb;
-- Not begun by then: not begun at all.
alter table tickets add column deadline_at timestamptz;
-- Begun so often: 1, and once more for each retry by a person.
alter table tickets add column attempt bigint not null default 1;
-- Grows when somebody else than its actor wants it looked at: an actor that has not seen it does not lay the ticket down.
alter table tickets add column wake bigint not null default 0;
-- What a person wants done with an effect that has not left; its ticket's actor does it.
alter table effects add column verdict text check (verdict in ('release', 'cancel'));
alter table effects add column verdict_by text;
alter table effects add column verdict_at timestamptz;
-- A look-up is only unambiguous while at most one call and one message to a number are unclear.
drop index effects_one_call;
create unique index effects_one_unclear on effects (account, to_number, kind) where state in ('sending', 'unknown');
create index effects_page on effects (org_id, created_at desc, id desc);
-- The watch for a bridge that was called twice looks at the newest calls.
create index effects_live_calls on effects (created_at) where kind = 'call' and state = 'live';
grant select (id, org_id, project_id, bridge_id, ticket_id, kind, account, state, sid, created_at, sent_at) on effects to app_worker;
create policy worker on effects for select to app_worker using (true);
grant select (lead_id, created_at, updated_at) on tickets to app_worker;
-- History is kept for a time, not for ever.
grant select (ticket_id, seq, at), delete on ticket_events to app_worker;
create policy worker on ticket_events for select to app_worker using (true);
create policy worker_forget on ticket_events for delete to app_worker using (true);
-- A ticket that was set aside. Replayed: the ticket runs again, and a second death is a second row.
create table dead_letters (
  id uuid primary key, org_id uuid not null, project_id uuid not null, ticket_id uuid not null, correlation_id uuid not null,
  task text not null, code text not null, at timestamptz not null, replayed_at timestamptz, replayed_by text,
  archived_at timestamptz, unique (id, org_id), foreign key (project_id, org_id) references projects (id, org_id),
  foreign key (ticket_id, org_id) references tickets (id, org_id));
create index dead_letters_page on dead_letters (org_id, at desc, id desc);
create index dead_letters_correlation on dead_letters (org_id, correlation_id);
create index dead_letters_ticket on dead_letters (ticket_id);
create index dead_letters_open on dead_letters (at) where archived_at is null and replayed_at is null;
create index dead_letters_archive on dead_letters (archived_at) where archived_at is not null;
-- When a task is run by itself. `next_at` is null exactly when it is off.
create table schedules (
  id uuid primary key, org_id uuid not null, project_id uuid not null, name text not null, cron text not null, timezone text,
  task text not null, params jsonb not null default '{}', missed text not null check (missed in ('skip', 'once', 'all')),
  next_at timestamptz, last_at timestamptz, last_ticket_id uuid, created_by text not null, version bigint not null default 1,
  created_at timestamptz not null, updated_at timestamptz not null,
  unique (id, org_id), unique (project_id, name), foreign key (project_id, org_id) references projects (id, org_id));
create index schedules_due on schedules (next_at, id) where next_at is not null;
create index schedules_page on schedules (org_id, project_id, created_at desc, id desc);
do $$ declare t text; begin
  foreach t in array array['dead_letters', 'schedules'] loop perform apex_protect(t); end loop;
end $$;
grant select (id, org_id, project_id, next_at) on schedules to app_worker;
create policy worker on schedules for select to app_worker using (true);
grant select (id, org_id, at, replayed_at, archived_at), update (archived_at), delete on dead_letters to app_worker;
create policy worker on dead_letters for select to app_worker using (true);
create policy worker_archive on dead_letters for update to app_worker using (true) with check (true);
create policy worker_forget on dead_letters for delete to app_worker using (archived_at is not null);
