-- Runs as the login that owns the database: NOSUPERUSER NOBYPASSRLS NOINHERIT CREATEROLE. The schema `apex` exists and is
-- first in search_path: a NOINHERIT owner cannot create in schema public.

-- Roles: nologin, nothing inherited, reached only by SET LOCAL ROLE.
do $$ declare r text; begin
  foreach r in array array['app_rt', 'app_ingest', 'app_worker', 'app_auth', 'app_migrator'] loop
    begin execute format('create role %I nologin noinherit', r);
    exception when duplicate_object or unique_violation or insufficient_privilege then null; end;
    -- Always: on 16 and later the creator of a role is a member without SET.
    begin execute format('grant %I to %I', r, current_user); exception when insufficient_privilege then null; end;
    execute format('grant usage on schema apex to %I', r);
  end loop; end $$;

-- One call makes a table a tenant's: forced row security that fails closed, and no grant but these.
create function apex_protect(t text) returns void language plpgsql set search_path = apex, pg_catalog as $f$ begin
  execute format('alter table %I enable row level security', t);
  execute format('alter table %I force row level security', t);
  execute format($p$create policy tenant on %I for all to app_rt
    using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid))
    with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid))$p$, t);
  -- Not BYPASSRLS: only a superuser may give that away.
  execute format('create policy migrator on %I for all to app_migrator using (true) with check (true)', t);
  execute format('grant select, insert, update, delete on %I to app_rt, app_migrator', t);
end $f$;
revoke all on function apex_protect(text) from public;

-- System: no grant to requests.
create table node (
  id text primary key, address text not null, expires_at timestamptz not null, draining boolean not null default false);
create table placement (
  key text primary key, org_id uuid, node_id text, fence bigint not null check (fence > 0));
create index placement_node on placement (node_id);
grant select, insert, update, delete on node, placement to app_worker;

-- Identity: app_auth only, a closed list of queries.
create table organizations (
  id uuid primary key, name text not null, slug text not null unique, settings jsonb not null default '{}',
  created_at timestamptz not null);
create table users (
  id uuid primary key, email text not null unique, name text not null, password_hash text not null,
  created_at timestamptz not null);
create table memberships (
  org_id uuid not null references organizations, user_id uuid not null references users,
  role text not null check (role in ('owner', 'admin', 'member', 'viewer')), created_at timestamptz not null,
  primary key (org_id, user_id));
create index memberships_user on memberships (user_id);
create table sessions (
  id uuid primary key, family uuid not null, user_id uuid not null references users,
  org_id uuid not null references organizations, refresh_hash bytea not null unique,
  created_at timestamptz not null, expires_at timestamptz not null, rotated_at timestamptz, revoked_at timestamptz);
create index sessions_family on sessions (family);
create index sessions_user on sessions (user_id);
create index sessions_org on sessions (org_id);
create table project_routes (
  kind text not null check (kind in ('slug', 'number', 'google', 'wordpress')), route text not null,
  org_id uuid not null references organizations, project_id uuid not null, secret_hash bytea,
  primary key (kind, route));
create index project_routes_project on project_routes (project_id);
create index project_routes_org on project_routes (org_id);
grant select, insert, update, delete on organizations, users, memberships, sessions, project_routes to app_auth;

-- Tenant.
create table projects (
  id uuid primary key, org_id uuid not null references organizations, slug text not null, business_name text not null,
  dna_generated jsonb not null default '{}', dna_custom jsonb not null default '{}', version bigint not null default 1,
  created_at timestamptz not null, updated_at timestamptz not null, deleted_at timestamptz,
  unique (id, org_id));
create index projects_org on projects (org_id, created_at desc, id desc);
select apex_protect('projects');
create policy worker on projects for select to app_worker using (true);
grant select (id, org_id, deleted_at) on projects to app_worker;
create table idempotency_keys (
  org_id uuid not null references organizations, key text not null, digest bytea not null,
  status bigint, body jsonb, created_at timestamptz not null,
  primary key (org_id, key));
select apex_protect('idempotency_keys');
create table parked_actors (
  project_id uuid not null, actor text not null, org_id uuid not null, failures bigint not null, reason text not null,
  parked_at timestamptz not null, retry_at timestamptz not null,
  primary key (project_id, actor), foreign key (project_id, org_id) references projects (id, org_id));
select apex_protect('parked_actors');

-- Fence: VOLATILE, since each call must look anew. It raises, so the transaction is dead even if nobody looks at its answer.
create function apex_fence(k text, n text, f bigint) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform 1 from apex.placement p
   where p.key = k and p.node_id = n and p.fence = f
     and p.org_id is not distinct from nullif(current_setting('app.org_id', true), '')::uuid
     for share;
  if not found or not exists (select from apex.node d where d.id = n) then
    raise exception 'fenced: % is not at % with fence %', k, n, f using errcode = 'AX001';
  end if;
end $$;
-- The claim asks this: a plain NOT EXISTS uses the snapshot from before its wait and robs an owner that registered meanwhile.
create function apex_gone(n text) returns boolean
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin return not exists (select from apex.node d where d.id = n); end $$;
revoke all on function apex_fence(text, text, bigint), apex_gone(text) from public;
grant execute on function apex_fence(text, text, bigint) to app_rt, app_worker, app_migrator;
grant execute on function apex_gone(text) to app_worker;
