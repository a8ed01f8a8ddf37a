-- Runs once, as the superuser, when the database volume is empty.
-- The login owns its database and may create the roles of the program; it is no superuser, cannot pass row-level security
-- and inherits nothing, so that a query outside a tenant's transaction sees no row at all.
\getenv password APEX_DATABASE_PASSWORD
create role apex_login login nosuperuser nobypassrls noinherit createrole password :'password';
create database apex owner apex_login;
