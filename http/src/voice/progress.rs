//! Twilio's words for how a call goes, in ours.

use apex_storage::model::call::{End, Leg, Progress, Report};

/// What a status callback of a leg says. A word that we do not know is kept for the record.
pub(super) fn of_status(leg: Leg, status: Option<&str>, seconds: u32) -> Report {
    let progress = match status {
        Some("queued" | "initiated") => Some(Progress::Dialing),
        Some("ringing") => Some(Progress::Ringing),
        Some("in-progress" | "answered") => Some(Progress::Answered),
        Some("completed") => Some(Progress::Over(End::Completed { seconds })),
        Some(other) => unanswered(other),
        None => None,
    };
    report(leg, progress)
}

/// What the end of a `<Dial>` says about the leg it placed: `answered` means that it was, and is over now.
pub(super) fn of_dial(leg: Leg, status: Option<&str>, seconds: u32) -> Report {
    let progress = match status {
        Some("completed" | "answered") => Some(Progress::Over(End::Completed { seconds })),
        Some(other) => unanswered(other),
        None => None,
    };
    report(leg, progress)
}

fn unanswered(status: &str) -> Option<Progress> {
    let end = match status {
        "busy" => End::Busy,
        "no-answer" => End::NoAnswer,
        "failed" => End::Failed,
        "canceled" => End::Cancelled,
        _ => return None,
    };
    Some(Progress::Over(end))
}

fn report(leg: Leg, progress: Option<Progress>) -> Report {
    progress.map_or(Report::Other, |progress| Report::Leg { leg, progress })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_call_has_its_place() {
        let over = |end| Progress::Over(end);
        let expected = [
            ("queued", Progress::Dialing),
            ("initiated", Progress::Dialing),
            ("ringing", Progress::Ringing),
            ("in-progress", Progress::Answered),
            ("answered", Progress::Answered),
            ("completed", over(End::Completed { seconds: 41 })),
            ("busy", over(End::Busy)),
            ("no-answer", over(End::NoAnswer)),
            ("failed", over(End::Failed)),
            ("canceled", over(End::Cancelled)),
        ];
        for (status, progress) in expected {
            assert_eq!(of_status(Leg::Boss, Some(status), 41), Report::Leg { leg: Leg::Boss, progress }, "{status}");
        }
    }

    #[test]
    fn a_dial_that_was_answered_is_over_when_it_is_told() {
        let report = of_dial(Leg::Customer, Some("answered"), 9);
        let progress = Progress::Over(End::Completed { seconds: 9 });
        assert_eq!(report, Report::Leg { leg: Leg::Customer, progress });
        let busy = Report::Leg { leg: Leg::Customer, progress: Progress::Over(End::Busy) };
        assert_eq!(of_dial(Leg::Customer, Some("busy"), 0), busy);
    }

    #[test]
    fn a_new_word_of_twilio_changes_nothing() {
        for status in [Some("teleported"), Some(""), None] {
            assert_eq!(of_status(Leg::Boss, status, 0), Report::Other);
            assert_eq!(of_dial(Leg::Boss, status, 0), Report::Other);
        }
        assert_eq!(of_dial(Leg::Boss, Some("ringing"), 0), Report::Other, "a dial that ended does not ring");
    }
}
