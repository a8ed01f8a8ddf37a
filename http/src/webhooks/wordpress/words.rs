//! The words by which forms name their fields, in the languages sold, without case and accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words for one kind of field, each list separated by spaces.
pub(super) struct Vocabulary {
    /// The whole label, run together; the first is the best.
    pub exact: &'static str,
    /// Words that point at the kind from within a longer label.
    pub words: &'static str,
    /// Beginnings of words that do.
    pub stems: &'static str,
    /// Words beside which the others mean something else; or whole labels, run together, that do.
    pub not: &'static str,
}

pub(super) const PHONE: Vocabulary = Vocabulary {
    exact: "mobile cell cellphone mobilephone cellular movil celular handy telefonomovil phone tel telephone \
        phonenumber contactnumber mobilenumber telefono telefon telefonnummer handynummer telefone telemovel \
        portable cellulare waea waeapukoro whatsapp callback callbacknumber ruckrufnummer rufnummer",
    words: "phone mobile tel cell waea ph mob gsm movil celular portable cellulare",
    stems: "phone telep telef telem mobil handy whatsapp cellphone",
    not: "fax time when hour hours model brand method type emergency referrer",
};

pub(super) const EMAIL: Vocabulary = Vocabulary {
    exact: "email mail emailaddress correo correoelectronico courriel emailadresse imera adresseemail indirizzoemail \
        postaelettronica eposta",
    words: "email mail correo courriel imera emailaddress",
    stems: "email",
    not: "friend friends referrer emergency",
};

pub(super) const MESSAGE: Vocabulary = Vocabulary {
    exact: "message msg enquiry inquiry comment comments details description question questions textarea notes \
        howcanwehelp howcanwehelpyou mensaje comentario comentarios consulta nachricht anfrage kommentar \
        mitteilung commentaire commentaires demande messaggio richiesta mensagem karere patai yourmessage",
    words: "message msg enquiry inquiry comment comments details description describe question questions notes help \
        requirements mensaje comentarios consulta nachricht anfrage kommentar commentaire demande messaggio \
        richiesta mensagem karere tell",
    stems: "",
    not: "contactdetails contactinformation consent agree privacy terms subscribe marketing newsletter bank \
        payment type subject phone email name",
};

pub(super) const FULL_NAME: Vocabulary = Vocabulary {
    exact: "name fullname yourname contactname customername clientname nameandsurname names nombre nombrecompleto \
        nombreyapellidos nombreyapellido nom nomcomplet nometprenom nomprenom ingoa nome nomecompleto \
        nomeecognome vollstandigername vorundnachname",
    words: "name fullname nombre nom ingoa nome",
    stems: "",
    not: "company business organisation organization org firm firma firmen empresa entreprise societe azienda \
        societa pakihi user username nick file product domain form event pet dog cat child partner spouse \
        project site website street suburb city school brand page friend referrer emergency team service account \
        property building host list campaign plan maiden middle",
};

pub(super) const FIRST_NAME: Vocabulary = Vocabulary {
    exact: "firstname fname first givenname givennames forename namefirst prenom vorname primernombre primeironome \
        ingoatuatahi",
    words: "",
    stems: "",
    not: "",
};

pub(super) const LAST_NAME: Vocabulary = Vocabulary {
    exact: "lastname lname last surname familyname namelast apellido apellidos nachname familienname nomdefamille \
        nomfamille cognome sobrenome apelido ingoawhanau",
    words: "",
    stems: "",
    not: "",
};

/// Words whose fields hold digits that are no phone number.
const OTHER_DIGITS: &str = "fax order invoice account abn acn gst nzbn irn ird tax vat zip post postal postcode code budget price \
        cost amount date time when hour hours reference ref id policy licence license quantity qty plz cp siret \
        nif cif dni card iban serial vin rego case ticket emergency friend referrer job bestellung bestellnummer \
        rechnung rechnungsnummer kundennummer pedido factura commande facture datum fecha birth birthday dob \
        year ip timestamp";

/// Words that say nothing about the kind of field.
const FILLERS: &str = "your you my our the a an please enter required optional input field number no nr num numero address \
        adresse de del di da la el le votre tu tus su ihr ihre dein deine vostro tuo tua seu sua te tou here \
        contact contacto kontakt customer client primary main best text wpforms item meta";

/// A label as its words: lower case, without accents, punctuation and counting digits; `camelCase` is two words.
pub(super) fn words(label: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in label.nfkd().filter(|character| !is_combining_mark(*character)) {
        let starts_word = !character.is_alphanumeric() || (was_lower && character.is_uppercase());
        if starts_word {
            words.push(String::new());
        }
        was_lower = character.is_lowercase();
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
    }
    let bare = words.iter().map(|word| word.trim_end_matches(|c: char| c.is_numeric()));
    let merged = bare.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    joined_email(merged)
}

/// `E-mail` is one word, and `e` alone means nothing.
fn joined_email(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        match out.last_mut() {
            Some(last) if last == "e" && (word == "mail" || word == "posta") => *last = format!("e{word}"),
            _ => out.push(word),
        }
    }
    out
}

/// How well a label fits a kind: the place in the list of exact names, or merely one word within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Exact(usize),
    Partial,
}

impl Vocabulary {
    /// Does the label name this kind of field?
    pub(super) fn fit(&self, label: &[String]) -> Option<Fit> {
        let bare: Vec<&str> = label.iter().map(String::as_str).filter(|word| !listed(FILLERS, word)).collect();
        let whole = [label.concat(), bare.concat()];
        if listed(self.not, &whole[0]) || label.iter().any(|word| listed(self.not, word)) {
            return None;
        }
        if let Some(rank) = self.exact.split_whitespace().position(|exact| whole.iter().any(|whole| whole == exact)) {
            return Some(Fit::Exact(rank));
        }
        let points =
            |word: &&str| listed(self.words, word) || self.stems.split_whitespace().any(|stem| word.starts_with(stem));
        bare.iter().any(points).then_some(Fit::Partial)
    }
}

fn listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

/// May digits under this label be somebody's phone number, although nothing says so?
pub(super) fn may_hide_phone(label: &[String]) -> bool {
    !label.iter().any(|word| listed(OTHER_DIGITS, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(vocabulary: &Vocabulary, label: &str) -> Option<bool> {
        vocabulary.fit(&words(label)).map(|fit| matches!(fit, Fit::Exact(_)))
    }

    #[test]
    fn labels_lose_case_accents_punctuation_and_counting_digits() {
        assert_eq!(words("Tēnā Koe"), ["tena", "koe"]);
        assert_eq!(words("yourPhone_2"), ["your", "phone"]);
        assert_eq!(words("E-Mail *"), ["email"]);
        assert_eq!(words("tel-456"), ["tel"]);
        assert_eq!(words("電話 2"), ["電話"]);
        assert!(words("1.3").is_empty());
    }

    #[test]
    fn every_language_sold_names_its_phone() {
        for label in [
            "Phone",
            "MOBILE NUMBER",
            "your-tel",
            "tel-123",
            "Contact number",
            "Teléfono",
            "Téléphone",
            "Telefon",
            "Celular",
            "Nama waea pukoro",
            "Número de teléfono",
            "phoneNumber",
            "Telefone",
            "Handynummer",
        ] {
            assert!(fits(&PHONE, label).is_some(), "{label}");
        }
        for label in ["Fax", "Number", "Customer number", "Best time to phone", "Phone model", "Hotel"] {
            assert_eq!(fits(&PHONE, label), None, "{label}");
        }
    }

    #[test]
    fn names_of_other_things_are_no_names_of_people() {
        for label in ["Name", "Your name", "Full Name *", "Nombre", "ingoa", "Nom", "your-name"] {
            assert_eq!(fits(&FULL_NAME, label), Some(true), "{label}");
        }
        for label in ["Company name", "Business Name", "Product name", "username", "Nombre de la empresa", "Pet's name"]
        {
            assert_eq!(fits(&FULL_NAME, label), None, "{label}");
        }
        assert_eq!(fits(&FIRST_NAME, "Prénom"), Some(true));
        assert_eq!(fits(&LAST_NAME, "Nom de famille"), Some(true));
    }

    #[test]
    fn emails_and_messages_are_found_in_longer_labels() {
        for label in ["E-mail", "Your Email Address", "Correo electrónico", "your-email", "imēra", "Email us back at"]
        {
            assert!(fits(&EMAIL, label).is_some(), "{label}");
        }
        for label in
            ["Message", "Comments", "How can we help?", "Project details", "Mensaje", "Nachricht", "textarea-7"]
        {
            assert!(fits(&MESSAGE, label).is_some(), "{label}");
        }
        for label in ["Contact details", "I agree to marketing messages", "Message type"] {
            assert_eq!(fits(&MESSAGE, label), None, "{label}");
        }
    }
}
