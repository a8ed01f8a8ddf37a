-- A program's key to one organisation, in a person's name. Only its hash is kept; `prefix` is what people know it by.
create table api_keys (
  id blob primary key not null, org_id blob not null references organizations (id), user_id blob not null references users (id),
  name text not null, prefix text not null, key_hash blob not null unique, scopes text not null,
  expires_at text, last_used_at text, revoked_at text, created_at text not null) strict;
create index api_keys_page on api_keys (org_id, created_at desc, id desc);
create index api_keys_user on api_keys (user_id);
-- Who changed what, from where: written with the change itself, and never touched again.
create table audit_log (
  id blob primary key not null, org_id blob not null references organizations (id), actor text not null,
  actor_kind text not null check (actor_kind in ('user', 'api_key', 'operator', 'system')), ip text, user_agent text,
  action text not null, resource_kind text not null, resource_id text not null, before text, after text, trace_id text,
  at text not null) strict;
create index audit_log_page on audit_log (org_id, at desc, id desc);
create trigger audit_log_no_update before update on audit_log begin select raise(abort, 'the audit log is only appended'); end;
create trigger audit_log_no_delete before delete on audit_log begin select raise(abort, 'the audit log is only appended'); end;
