//! Who people are and where routes lead: the closed list of queries that run before a tenant is known.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::database::{Role, Store};
use crate::error::StorageError;
use crate::lookup_key::LookupKey;
use crate::model::{OrgId, ProjectId, SessionId, UserId};
use crate::sql::{Conn, Query, Sql, sql};
use crate::tenant::TenantTx;

/// A transaction before a tenant is known. Dropped without `commit` it is rolled back.
#[must_use]
pub struct IdentityTx {
    conn: Conn,
    now: DateTime<Utc>,
    lookup: LookupKey,
}

/// A person who signs in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct User {
    /// The person.
    pub id: UserId,
    /// Lower-case.
    pub email: String,
    /// As they call themselves.
    pub name: String,
    /// In PHC form.
    pub password_hash: String,
    /// When they registered.
    pub created_at: DateTime<Utc>,
}

/// A person in an organisation.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Member {
    /// The organisation.
    pub org_id: OrgId,
    /// Its name.
    pub org_name: String,
    /// Its short name.
    pub org_slug: String,
    /// owner, admin, member or viewer.
    pub role: String,
}

/// A person who registers, with the organisation that they get.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// The person.
    pub id: UserId,
    /// Lower-case.
    pub email: &'a str,
    /// As they call themselves.
    pub name: &'a str,
    /// In PHC form.
    pub password_hash: &'a str,
    /// Their organisation.
    pub org: OrgId,
    /// Its name.
    pub org_name: &'a str,
    /// Its short name, unique in the installation.
    pub org_slug: &'a str,
}

/// One refresh token.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Session {
    /// The token's row.
    pub id: SessionId,
    /// The sign-in that it descends from.
    pub family: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// Where they signed in.
    pub org_id: OrgId,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was exchanged for the next one.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Where a public name leads.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Route {
    /// The tenant.
    pub org_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// SHA-256 of the secret that opens it, for kinds that have one.
    pub secret_hash: Option<Vec<u8>>,
}

impl Store {
    /// Begins a transaction before a tenant is known.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn identity(&self) -> Result<IdentityTx, StorageError> {
        let conn = self.begin(Role::Auth, None).await?;
        Ok(IdentityTx { conn, now: self.now(), lookup: self.lookup_key().clone() })
    }

    /// Begins a transaction before a tenant is known that will only read.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn identity_read(&self) -> Result<IdentityTx, StorageError> {
        let conn = self.begin_read(Role::Auth, None).await?;
        Ok(IdentityTx { conn, now: self.now(), lookup: self.lookup_key().clone() })
    }

    /// Where a public name leads: `kind` is slug, number, google or wordpress.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn route(&self, kind: &str, route: &str) -> Result<Option<Route>, StorageError> {
        let mut conn = self.begin_read(Role::Auth, None).await?;
        conn.query(sql!("select org_id, project_id, secret_hash from project_routes where kind = $1 and route = $2"))
            .bind(kind)
            .bind(route)
            .optional()
            .await
    }
}

impl IdentityTx {
    /// Makes it true.
    ///
    /// # Errors
    ///
    /// `Database`: whether it was committed is then unknown.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.conn.commit().await
    }

    /// When it began.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(crate) fn query(&mut self, sql: Sql) -> Query<'_> {
        self.conn.query(sql)
    }

    /// Goes on as the transaction of a tenant, with the role of requests from here on: what was done about people or routes and
    /// what the tenant keeps of it become true together.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn into_tenant(mut self, org: OrgId) -> Result<TenantTx, StorageError> {
        if self.conn.is_postgres() {
            let become_request = sql!(
                pg "select set_config('role', 'app_rt', true), set_config('app.org_id', $1, true)"
                lite "select '', $1"
            );
            let _: (String, String) = self.conn.query(become_request).bind(org.to_string()).one().await?;
        }
        Ok(TenantTx::over(self.conn, org, self.now, self.lookup))
    }

    /// Registers a person with an organisation of their own.
    ///
    /// # Errors
    ///
    /// `Taken` when the address or the organisation's short name is.
    pub async fn register(&mut self, new: &NewUser<'_>) -> Result<(), StorageError> {
        let now = self.now;
        let settings = Value::Object(serde_json::Map::new());
        self.conn
            .query(sql!("insert into organizations (id, name, slug, settings, created_at) values ($1, $2, $3, $4, $5)"))
            .bind(new.org)
            .bind(new.org_name)
            .bind(new.org_slug)
            .bind(settings)
            .bind(now)
            .execute()
            .await
            .map_err(|error| if error.is_unique_violation() { StorageError::Taken("organization") } else { error })?;
        self.conn
            .query(sql!("insert into users (id, email, name, password_hash, created_at) values ($1, $2, $3, $4, $5)"))
            .bind(new.id)
            .bind(new.email)
            .bind(new.name)
            .bind(new.password_hash)
            .bind(now)
            .execute()
            .await
            .map_err(|error| if error.is_unique_violation() { StorageError::Taken("email") } else { error })?;
        self.conn
            .query(sql!("insert into memberships (org_id, user_id, role, created_at) values ($1, $2, 'owner', $3)"))
            .bind(new.org)
            .bind(new.id)
            .bind(now)
            .execute()
            .await
            .map(drop)
    }

    /// The person with this address.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StorageError> {
        self.conn
            .query(sql!("select id, email, name, password_hash, created_at from users where email = $1"))
            .bind(email)
            .optional()
            .await
    }

    /// The person with this id.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn user(&mut self, id: UserId) -> Result<Option<User>, StorageError> {
        self.conn
            .query(sql!("select id, email, name, password_hash, created_at from users where id = $1"))
            .bind(id)
            .optional()
            .await
    }

    /// The organisations of a person, the oldest membership first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn memberships(&mut self, user: UserId) -> Result<Vec<Member>, StorageError> {
        self.conn
            .query(sql!(
                "select m.org_id, o.name as org_name, o.slug as org_slug, m.role
                   from memberships m join organizations o on o.id = m.org_id
                  where m.user_id = $1 order by m.created_at, m.org_id"
            ))
            .bind(user)
            .all()
            .await
    }

    /// Keeps a refresh token, by its hash.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn add_session(&mut self, session: &Session, refresh_hash: &[u8]) -> Result<(), StorageError> {
        let now = self.now;
        self.conn
            .query(sql!(
                "insert into sessions (id, family, user_id, org_id, refresh_hash, created_at, expires_at)
                 values ($1, $2, $3, $4, $5, $6, $7)"
            ))
            .bind(session.id)
            .bind(session.family)
            .bind(session.user_id)
            .bind(session.org_id)
            .bind(refresh_hash.to_vec())
            .bind(now)
            .bind(session.expires_at)
            .execute()
            .await
            .map(drop)
    }

    /// The refresh token with this hash, whatever its state.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn session(&mut self, refresh_hash: &[u8]) -> Result<Option<Session>, StorageError> {
        self.conn
            .query(sql!(
                "select id, family, user_id, org_id, expires_at, rotated_at, revoked_at
                   from sessions where refresh_hash = $1"
            ))
            .bind(refresh_hash.to_vec())
            .optional()
            .await
    }

    /// Marks a token as exchanged. `false`: somebody exchanged it first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn rotate_session(&mut self, id: SessionId) -> Result<bool, StorageError> {
        let now = self.now;
        let rotate =
            sql!("update sessions set rotated_at = $2 where id = $1 and rotated_at is null and revoked_at is null");
        Ok(self.conn.query(rotate).bind(id).bind(now).execute().await? == 1)
    }

    /// Takes back every token of a sign-in.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn revoke_family(&mut self, family: SessionId) -> Result<(), StorageError> {
        let now = self.now;
        self.conn
            .query(sql!("update sessions set revoked_at = $2 where family = $1 and revoked_at is null"))
            .bind(family)
            .bind(now)
            .execute()
            .await
            .map(drop)
    }

    /// Points a public name at a project.
    ///
    /// # Errors
    ///
    /// `Taken` when the name leads elsewhere already.
    pub async fn add_route(&mut self, kind: &str, name: &str, route: &Route) -> Result<(), StorageError> {
        let added = self
            .conn
            .query(sql!(
                "insert into project_routes (kind, route, org_id, project_id, secret_hash) values ($1, $2, $3, $4, $5)
                 on conflict (kind, route) do nothing"
            ))
            .bind(kind)
            .bind(name)
            .bind(route.org_id)
            .bind(route.project_id)
            .bind(route.secret_hash.clone())
            .execute()
            .await?;
        if added == 1 { Ok(()) } else { Err(StorageError::Taken("project_id")) }
    }

    /// Puts a new secret on a route. `false`: this tenant has no such route.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn replace_secret(
        &mut self,
        org: OrgId,
        kind: &str,
        name: &str,
        secret_hash: &[u8],
    ) -> Result<bool, StorageError> {
        let replace = sql!("update project_routes set secret_hash = $4 where org_id = $1 and kind = $2 and route = $3");
        let rows =
            self.conn.query(replace).bind(org).bind(kind).bind(name).bind(secret_hash.to_vec()).execute().await?;
        Ok(rows == 1)
    }

    /// Removes every route of a project.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn remove_routes(&mut self, org: OrgId, project: ProjectId) -> Result<u64, StorageError> {
        self.conn
            .query(sql!("delete from project_routes where org_id = $1 and project_id = $2"))
            .bind(org)
            .bind(project)
            .execute()
            .await
    }
}
