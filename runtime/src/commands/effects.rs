//! `apex effects`: what has not left yet, and a person's word on it. Works on the database, whether the server runs or not.

mod chosen;
mod show;

use std::process::ExitCode;

use anyhow::bail;
use apex_config::{Config, DatabaseUrl};
use apex_storage::model::OrgId;
use apex_storage::{ActorKind, AuditEntry, DecidedEffect, Effect, EffectFilter, EffectVerdict, Store, TenantTx};
use clap::Subcommand;
use serde_json::json;

use crate::app;
use crate::commands::block_on;
use chosen::{Chosen, Decision, OPEN};
use show::Row;

/// Who has decided, as the ledger of effects tells it.
const OPERATOR: &str = "operator";
/// Rows that are read at once.
const PAGE: i64 = 500;

/// What is done with effects.
#[derive(Debug, Subcommand)]
pub(crate) enum EffectsCommand {
    /// Lists calls and messages that have not left, or whose answer is unclear, of all organisations.
    List {
        #[command(flatten)]
        chosen: Chosen,
        /// Print JSON for programs instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Lets them go out: each is sent once, by the running server or at its next start.
    ///
    /// An effect that is `held` was sent perhaps, and its answer never came. Look at the provider before you release one: a
    /// released call rings.
    Release(Decision),
    /// Ends them: they never leave, and their tickets end or go on without them.
    Cancel(Decision),
}

/// Does it and prints what came of it.
pub(crate) fn run(config: &Config, command: EffectsCommand) -> anyhow::Result<ExitCode> {
    if let EffectsCommand::Release(decision) | EffectsCommand::Cancel(decision) = &command {
        decision.check()?;
    }
    block_on(async move {
        let store = open(config).await?;
        let done = act(&store, command).await;
        store.close().await;
        print!("{}", done?);
        Ok(ExitCode::SUCCESS)
    })
}

/// A look must not make a database where there is none.
async fn open(config: &Config) -> anyhow::Result<Store> {
    if let DatabaseUrl::Sqlite(path) = &config.database.url
        && !path.exists()
    {
        bail!("there is no database at {}; set APEX_DATA_DIR or DATABASE_URL as the server has it", path.display());
    }
    app::open_store_beside(config).await
}

async fn act(store: &Store, command: EffectsCommand) -> anyhow::Result<String> {
    match command {
        EffectsCommand::List { chosen, json } => {
            let rows = list(store, &chosen).await?;
            Ok(if json { show::json(&rows) } else { show::table(&rows, store.now()) })
        }
        EffectsCommand::Release(decision) => decide(store, &decision, EffectVerdict::Release).await,
        EffectsCommand::Cancel(decision) => decide(store, &decision, EffectVerdict::Cancel).await,
    }
}

async fn list(store: &Store, chosen: &Chosen) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for org in orgs(store).await? {
        let mut tx = store.tenant_read(org).await?;
        let Some(filter) = chosen.filter(&mut tx, store.now()).await? else { continue };
        let states = filter.state.clone().map_or_else(|| OPEN.map(str::to_owned).to_vec(), |state| vec![state]);
        for state in states {
            let filter = EffectFilter { state: Some(state), ..filter.clone() };
            for effect in every(&mut tx, filter).await? {
                let Some(project) = tx.project(effect.project_id).await? else { continue };
                rows.push(Row { effect, project: project.slug });
            }
        }
    }
    rows.sort_by_key(|row| (row.effect.created_at, row.effect.id));
    Ok(rows)
}

/// All pages.
async fn every(tx: &mut TenantTx, mut filter: EffectFilter) -> anyhow::Result<Vec<Effect>> {
    let mut all = Vec::new();
    filter.limit = PAGE;
    loop {
        let page = tx.effects(&filter).await?;
        filter.after = page.last().map(|effect| (effect.created_at, effect.id));
        let is_last = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// One commit for each organisation.
async fn decide(store: &Store, decision: &Decision, verdict: EffectVerdict) -> anyhow::Result<String> {
    let mut decided: Vec<DecidedEffect> = Vec::new();
    for org in orgs(store).await? {
        let mut tx = store.tenant(org).await?;
        let Some(filter) = decision.chosen.filter(&mut tx, store.now()).await? else { continue };
        let effects = tx.decide_effects(&filter, verdict, OPERATOR).await?;
        for effect in &effects {
            tell(&mut tx, effect, verdict).await?;
        }
        decided.extend(effects);
        tx.commit().await?;
    }
    if decision.json {
        let data: Vec<_> =
            decided.iter().map(|effect| json!({ "id": effect.id, "ticket_id": effect.ticket_id })).collect();
        return Ok(format!("{}\n", json!({ "count": decided.len(), "data": data })));
    }
    Ok(show::decided(&decided, verdict))
}

/// The organisation reads in its audit log what its operator did.
async fn tell(tx: &mut TenantTx, effect: &DecidedEffect, verdict: EffectVerdict) -> anyhow::Result<()> {
    let (action, id) = (format!("effect.{}", verdict.as_str()), effect.id.to_string());
    let after = json!({ "verdict": verdict.as_str(), "ticket_id": effect.ticket_id });
    let entry = AuditEntry {
        actor: OPERATOR,
        actor_kind: ActorKind::Operator,
        ip: None,
        user_agent: None,
        action: &action,
        resource_kind: "effect",
        resource_id: &id,
        before: None,
        after: Some(&after),
        trace_id: None,
    };
    Ok(tx.audit(&entry).await?)
}

async fn orgs(store: &Store) -> anyhow::Result<Vec<OrgId>> {
    Ok(store.system_read().await?.orgs_with_open_effects().await?)
}
