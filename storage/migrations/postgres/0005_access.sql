-- A program's key to one organisation, in a person's name. Only its hash is kept; `prefix` is what people know it by.
create table api_keys (
  id uuid primary key, org_id uuid not null references organizations, user_id uuid not null references users,
  name text not null, prefix text not null, key_hash bytea not null unique, scopes text not null,
  expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz, created_at timestamptz not null);
create index api_keys_page on api_keys (org_id, created_at desc, id desc);
create index api_keys_user on api_keys (user_id);
grant select, insert, update, delete on api_keys to app_auth;
-- Who changed what, from where: written with the change itself, and never touched again.
create table audit_log (
  id uuid primary key, org_id uuid not null references organizations, actor text not null,
  actor_kind text not null check (actor_kind in ('user', 'api_key', 'operator', 'system')), ip text, user_agent text,
  action text not null, resource_kind text not null, resource_id text not null, before jsonb, after jsonb, trace_id text,
  at timestamptz not null);
create index audit_log_page on audit_log (org_id, at desc, id desc);
select apex_protect('audit_log');
revoke update, delete on audit_log from app_rt;
