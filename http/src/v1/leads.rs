//! Leads: who asked for service, and what came of it.

mod body;
mod create;
mod delete;
mod list;
mod patch;
mod put;
mod show;

use apex_config::dna;
use apex_storage::Project;
use apex_storage::model::phone::{self, Phone};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::state::AppState;

use body::LeadBody;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create_lead, list::list_leads)).routes(routes!(
        show::show_lead,
        patch::patch_lead,
        put::put_lead,
        delete::delete_lead
    ))
}

const LONGEST_NAME: usize = 200;
const LONGEST_EMAIL: usize = 254;
const LONGEST_MESSAGE: usize = 10_000;

/// A phone as somebody in the project's region would have meant it.
fn read_phone(project: &Project, raw: &str) -> Result<Phone, ApiError> {
    let region = match dna::resolve(&project.dna_generated, &project.dna_custom) {
        Ok(dna) => dna.identity.region,
        Err(_) => String::new(), // a DNA that no longer fits: only numbers with + are read
    };
    Ok(phone::normalise(raw, &region)?.phone)
}

/// A text without blanks around it, 1 to `longest` characters.
fn read_text(field: &str, text: &str, longest: usize) -> Result<String, ApiError> {
    let text = text.trim();
    if (1..=longest).contains(&text.chars().count()) && !text.contains('\0') {
        return Ok(text.to_owned());
    }
    Err(ApiError::invalid(field, format!("must have 1 to {longest} characters")))
}

/// The field, if it is there, read as [`read_text`] does.
fn read_optional(field: &str, text: Option<&str>, longest: usize) -> Result<Option<String>, ApiError> {
    text.map(|text| read_text(field, text, longest)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_trimmed_and_bounded() {
        assert_eq!(read_text("name", " Mere ", 10).unwrap(), "Mere");
        for bad in ["", "  ", "\0", "elf letters"] {
            assert!(read_text("name", bad, 10).is_err(), "{bad:?}");
        }
        assert_eq!(read_optional("name", None, 10).unwrap(), None);
    }
}
