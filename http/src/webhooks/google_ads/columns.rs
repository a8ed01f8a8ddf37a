//! Which column means what. The list of columns grows; only those that fill a lead stand here.

/// A column that fills a lead; every other column is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contact {
    FullName,
    FirstName,
    LastName,
    Phone,
    WorkPhone,
    Email,
    WorkEmail,
}

/// The meaning of a `column_id`.
pub(super) fn by_id(id: &str) -> Option<Contact> {
    Some(match id.to_ascii_uppercase().as_str() {
        "FULL_NAME" => Contact::FullName,
        "FIRST_NAME" => Contact::FirstName,
        "LAST_NAME" => Contact::LastName,
        "PHONE_NUMBER" => Contact::Phone,
        "WORK_PHONE" => Contact::WorkPhone,
        "EMAIL" => Contact::Email,
        "WORK_EMAIL" => Contact::WorkEmail,
        _ => return None,
    })
}

/// The meaning of a `column_name`, for documents without ids.
pub(super) fn by_name(name: &str) -> Option<Contact> {
    Some(match name.to_lowercase().as_str() {
        "full name" | "name" => Contact::FullName,
        "first name" => Contact::FirstName,
        "last name" => Contact::LastName,
        "user phone" | "phone number" | "phone" => Contact::Phone,
        "work phone" => Contact::WorkPhone,
        "user email" | "email" => Contact::Email,
        "work email" => Contact::WorkEmail,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_lead_to_the_same_meaning() {
        for (id, name) in [("FULL_NAME", "Full Name"), ("PHONE_NUMBER", "User Phone"), ("EMAIL", "User Email")] {
            assert_eq!(by_id(id), by_name(name));
            assert!(by_id(id).is_some());
        }
        assert_eq!(by_id("COMPANY_NAME"), None);
    }
}
