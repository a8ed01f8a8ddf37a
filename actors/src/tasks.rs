//! The registry of tasks: what `POST /run` can be asked, who does it, and with which parameters. Pure.

mod params;

use serde_json::Value;

use crate::error::Refusal;
use crate::kind::ActorKind;
use crate::request::Request;
use params::{Param, ParamKind};

pub use params::check_params;

/// One task, or one action of a task.
#[derive(Debug)]
pub struct TaskSpec {
    /// The name it is asked under.
    pub name: &'static str,
    /// `params.action`, where the task has actions.
    pub action: Option<&'static str>,
    /// How it is done.
    pub run: Run,
    /// Its parameters, besides `action`.
    pub params: &'static [Param],
}

/// How a task is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// An actor answers at once.
    Instant(ActorKind),
    /// A ticket is made for this kind of worker.
    Heavy {
        /// `call` or `task`.
        actor: &'static str,
    },
    /// Not part of this release.
    Unavailable {
        /// Why, and what to do instead.
        reason: &'static str,
    },
}

const CALL: Run = Run::Heavy { actor: "call" };
const TASK: Run = Run::Heavy { actor: "task" };
const LEAD: Param = Param { name: "lead_id", kind: ParamKind::LeadId, is_required: true };
const LEAD_OR_TEXT: &[Param] = &[
    Param { name: "lead_id", kind: ParamKind::LeadId, is_required: false },
    Param { name: "text", kind: ParamKind::Text, is_required: false },
];
const USE: &[Param] = &[
    Param { name: "resource", kind: ParamKind::Text, is_required: true },
    Param { name: "quantity", kind: ParamKind::Quantity, is_required: true },
];
const NO_CAMPAIGNS: Run =
    Run::Unavailable { reason: "campaigns to past customers are not part of this release; GET /leads lists them" };
const NO_ONBOARDING: Run =
    Run::Unavailable { reason: "generated DNA is not part of this release; PUT the project's DNA instead" };
const NO_PAGES: Run =
    Run::Unavailable { reason: "local pages are not part of this release, so there is nothing to count" };
const NO_CLEANUP: Run =
    Run::Unavailable { reason: "logs go to standard output and nothing is downloaded: there is nothing to clean up" };

/// Every task, in the order in which they are told.
pub const TASKS: &[TaskSpec] = &[
    plain("health_check", Run::Instant(ActorKind::Sentinel), &[]),
    plain("log_usage", Run::Instant(ActorKind::Accountant), USE),
    action("system_ops_manager", "run_diagnostics", Run::Instant(ActorKind::Sentinel), &[]),
    action("lead_gen_manager", "dashboard_stats", Run::Instant(ActorKind::Accountant), &[]),
    action("lead_gen_manager", "instant_call", CALL, &[LEAD]),
    action("lead_gen_manager", "transcribe_call", TASK, &[LEAD]),
    action("lead_gen_manager", "hunt_sniper", Run::Instant(ActorKind::Sniper), &[]),
    action("lead_gen_manager", "ignite_reactivation", NO_CAMPAIGNS, &[]),
    action("sales_agent", "instant_call", CALL, &[LEAD]),
    action("sales_agent", "notify_sms", TASK, LEAD_OR_TEXT),
    plain("sniper_agent", Run::Instant(ActorKind::Sniper), &[]),
    plain("reactivator_agent", NO_CAMPAIGNS, &[]),
    plain("onboarding", NO_ONBOARDING, &[]),
    action("manager", "dashboard_stats", NO_PAGES, &[]),
    plain("cleanup", NO_CLEANUP, &[]),
];

/// The action of a task that is asked without one.
const DEFAULT_ACTION: &[(&str, &str)] = &[("sales_agent", "instant_call"), ("system_ops_manager", "run_diagnostics")];

const fn plain(name: &'static str, run: Run, params: &'static [Param]) -> TaskSpec {
    TaskSpec { name, action: None, run, params }
}

const fn action(name: &'static str, action: &'static str, run: Run, params: &'static [Param]) -> TaskSpec {
    TaskSpec { name, action: Some(action), run, params }
}

/// The task of this name and action.
///
/// # Errors
///
/// `unknown_task`, `unknown_action` and `missing_action`, each naming the known ones.
pub fn find(task: &str, action: Option<&str>) -> Result<&'static TaskSpec, Refusal> {
    let specs = || TASKS.iter().filter(|spec| spec.name == task);
    let Some(first) = specs().next() else {
        let mut known: Vec<_> = TASKS.iter().map(|spec| spec.name).collect();
        known.dedup();
        let detail = format!("{task:?} is no task; known are {}", known.join(", "));
        return Err(Refusal::about("unknown_task", "task", detail));
    };
    if first.action.is_none() {
        return Ok(first);
    }
    let default = DEFAULT_ACTION.iter().find(|(name, _)| *name == task).map(|(_, action)| *action);
    let wanted = action.or(default);
    specs().find(|spec| spec.action == wanted).ok_or_else(|| {
        let known: Vec<_> = specs().filter_map(|spec| spec.action).collect();
        let known = known.join(", ");
        match wanted {
            Some(wanted) => {
                let detail = format!("{task} has no action {wanted:?}; known are {known}");
                Refusal::about("unknown_action", "params.action", detail)
            }
            None => Refusal::about("missing_action", "params.action", format!("{task} needs one of {known}")),
        }
    })
}

impl TaskSpec {
    /// What an instant task asks the project. `key`: the same key twice is done once.
    ///
    /// # Errors
    ///
    /// What is wrong with a parameter; `task_unavailable` for a task that no actor answers at once.
    pub fn request(&self, params: &Value, key: Option<String>) -> Result<Request, Refusal> {
        check_params(self, params)?;
        match (self.run, self.name) {
            (Run::Instant(ActorKind::Sentinel), _) => Ok(Request::HealthCheck),
            (Run::Instant(ActorKind::Sniper), _) => Ok(Request::Hunt { params: params.clone() }),
            (Run::Instant(ActorKind::Accountant), "log_usage") => Ok(Request::LogUsage {
                resource: params["resource"].as_str().unwrap_or_default().to_owned(),
                quantity_milli: params::milli(&params["quantity"]).unwrap_or_default(),
                key,
            }),
            (Run::Instant(ActorKind::Accountant), _) => Ok(Request::DashboardStats),
            (Run::Unavailable { reason }, _) => Err(Refusal::new("task_unavailable", reason)),
            _ => Err(Refusal::new("task_unavailable", format!("{} is not answered at once", self.name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_task_is_found_by_its_own_name_and_action() {
        for spec in TASKS {
            let found = find(spec.name, spec.action).unwrap();
            assert_eq!((found.name, found.action, found.run), (spec.name, spec.action, spec.run));
        }
    }

    #[test]
    fn a_sales_agent_without_an_action_calls() {
        assert_eq!(find("sales_agent", None).unwrap().action, Some("instant_call"));
        assert_eq!(find("sales_agent", None).unwrap().run, CALL);
    }

    #[test]
    fn a_name_nobody_knows_is_refused_with_the_known_ones() {
        let task = find("brew_coffee", None).unwrap_err();
        assert_eq!((task.code, task.field.as_deref()), ("unknown_task", Some("task")));
        assert!(task.detail.contains("health_check, log_usage, system_ops_manager, lead_gen_manager, sales_agent"));
        let action = find("lead_gen_manager", Some("dance")).unwrap_err();
        assert_eq!((action.code, action.field.as_deref()), ("unknown_action", Some("params.action")));
        assert!(action.detail.ends_with("instant_call, transcribe_call, hunt_sniper, ignite_reactivation"));
        assert_eq!(find("lead_gen_manager", None).unwrap_err().code, "missing_action");
    }

    #[test]
    fn instant_tasks_become_requests_and_others_do_not() {
        let request = |task, action, params| find(task, action).unwrap().request(&params, None);
        assert_eq!(request("health_check", None, json!({})), Ok(Request::HealthCheck));
        assert_eq!(request("lead_gen_manager", Some("dashboard_stats"), json!({})), Ok(Request::DashboardStats));
        let used = json!({ "resource": "twilio_voice", "quantity": 1.5 });
        assert_eq!(
            find("log_usage", None).unwrap().request(&used, Some("k".into())),
            Ok(Request::LogUsage { resource: "twilio_voice".into(), quantity_milli: 1_500, key: Some("k".into()) })
        );
        for (task, action) in [("reactivator_agent", None), ("onboarding", None), ("cleanup", None)] {
            assert_eq!(request(task, action, json!({})).unwrap_err().code, "task_unavailable", "{task}");
        }
        let call = json!({ "lead_id": uuid::Uuid::now_v7() });
        assert_eq!(request("sales_agent", None, call).unwrap_err().code, "task_unavailable");
    }

    #[test]
    fn every_instant_task_is_answered_by_the_actor_it_names() {
        for spec in TASKS {
            let Run::Instant(kind) = spec.run else { continue };
            let request = spec.request(&json!({ "resource": "twilio_sms", "quantity": 1 }), None).unwrap();
            assert_eq!(request.kind(), kind, "{} {:?}", spec.name, spec.action);
        }
    }
}
