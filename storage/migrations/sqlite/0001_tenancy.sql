-- SQLite 3.41 or later. uuid = 16 bytes; time = RFC 3339 text; no roles and no row security: org_id in each statement is the wall.
create table node (
  id text primary key not null, address text not null, expires_at text not null, draining integer not null default 0 check (draining in (0, 1))) strict;
create table placement (
  key text primary key not null, org_id blob, node_id text, fence integer not null check (fence > 0)) strict;
create index placement_node on placement (node_id);
create table organizations (
  id blob primary key not null, name text not null, slug text not null unique, settings text not null default '{}',
  created_at text not null) strict;
create table users (
  id blob primary key not null, email text not null unique, name text not null, password_hash text not null,
  created_at text not null) strict;
create table memberships (
  org_id blob not null references organizations (id), user_id blob not null references users (id),
  role text not null check (role in ('owner', 'admin', 'member', 'viewer')), created_at text not null,
  primary key (org_id, user_id)) strict;
create index memberships_user on memberships (user_id);
create table sessions (
  id blob primary key not null, family blob not null, user_id blob not null references users (id),
  org_id blob not null references organizations (id), refresh_hash blob not null unique,
  created_at text not null, expires_at text not null, rotated_at text, revoked_at text) strict;
create index sessions_family on sessions (family);
create index sessions_user on sessions (user_id);
create index sessions_org on sessions (org_id);
create table project_routes (
  kind text not null check (kind in ('slug', 'number', 'google', 'wordpress')), route text not null,
  org_id blob not null references organizations (id), project_id blob not null, secret_hash blob,
  primary key (kind, route)) strict;
create index project_routes_project on project_routes (project_id);
create index project_routes_org on project_routes (org_id);
create table projects (
  id blob primary key not null, org_id blob not null references organizations (id), slug text not null, business_name text not null,
  dna_generated text not null default '{}', dna_custom text not null default '{}', version integer not null default 1,
  created_at text not null, updated_at text not null, deleted_at text,
  unique (id, org_id)) strict;
create index projects_org on projects (org_id, created_at desc, id desc);
create table idempotency_keys (
  org_id blob not null references organizations (id), key text not null, digest blob not null,
  status integer, body text, created_at text not null,
  primary key (org_id, key)) strict;
create table parked_actors (
  project_id blob not null, actor text not null, org_id blob not null, failures integer not null, reason text not null,
  parked_at text not null, retry_at text not null,
  primary key (project_id, actor), foreign key (project_id, org_id) references projects (id, org_id)) strict;
