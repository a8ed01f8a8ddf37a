//! The sentences that are ours and not the project's, in the languages that we speak. Others hear English.

use super::twiml::{self, TwiMl};

/// A sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phrase {
    /// The end of a call that went as it should.
    Goodbye,
    /// To the boss: the customer did not pick up.
    CustomerSilent,
    /// To a customer who called us: nobody picked up.
    NobodyFree,
    /// To a boss who calls the number that rang them.
    OwnNumber,
    /// Before a conversation that is recorded.
    Recorded,
}

impl Phrase {
    /// The sentence and the language that it is in; `wanted` is the project's.
    pub fn said_in(self, wanted: &str) -> (&'static str, &str) {
        let known = match wanted.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "es" => self.spanish(),
            "de" => self.german(),
            "fr" => self.french(),
            "it" => self.italian(),
            "pt" => self.portuguese(),
            "en" => self.english(),
            _ => return (self.english(), "en-US"),
        };
        (known, wanted)
    }

    /// Says it and ends the call.
    pub fn and_hang_up(self, wanted: &str) -> TwiMl {
        let (text, language) = self.said_in(wanted);
        twiml::goodbye(text, language)
    }

    const fn english(self) -> &'static str {
        match self {
            Self::Goodbye => "Goodbye.",
            Self::CustomerSilent => "The customer did not answer. Goodbye.",
            Self::NobodyFree => "Sorry, nobody can take your call right now. Please try again later. Goodbye.",
            Self::OwnNumber => "This number puts your customers through to you. Nobody is waiting. Goodbye.",
            Self::Recorded => "This call is recorded.",
        }
    }

    const fn spanish(self) -> &'static str {
        match self {
            Self::Goodbye => "Adiós.",
            Self::CustomerSilent => "El cliente no ha contestado. Adiós.",
            Self::NobodyFree => "Lo sentimos, nadie puede atenderle en este momento. Inténtelo más tarde. Adiós.",
            Self::OwnNumber => "Este número le comunica con sus clientes. Nadie está esperando. Adiós.",
            Self::Recorded => "Esta llamada se graba.",
        }
    }

    const fn german(self) -> &'static str {
        match self {
            Self::Goodbye => "Auf Wiederhören.",
            Self::CustomerSilent => "Der Kunde hat nicht abgenommen. Auf Wiederhören.",
            Self::NobodyFree => {
                "Leider ist gerade niemand frei. Bitte versuchen Sie es später noch einmal. Auf Wiederhören."
            }
            Self::OwnNumber => "Diese Nummer verbindet Ihre Kunden mit Ihnen. Niemand wartet. Auf Wiederhören.",
            Self::Recorded => "Dieses Gespräch wird aufgezeichnet.",
        }
    }

    const fn french(self) -> &'static str {
        match self {
            Self::Goodbye => "Au revoir.",
            Self::CustomerSilent => "Le client n'a pas répondu. Au revoir.",
            Self::NobodyFree => "Désolé, personne ne peut vous répondre. Veuillez rappeler plus tard. Au revoir.",
            Self::OwnNumber => "Ce numéro vous met en relation avec vos clients. Personne n'attend. Au revoir.",
            Self::Recorded => "Cet appel est enregistré.",
        }
    }

    const fn italian(self) -> &'static str {
        match self {
            Self::Goodbye => "Arrivederci.",
            Self::CustomerSilent => "Il cliente non ha risposto. Arrivederci.",
            Self::NobodyFree => "Ci dispiace, nessuno può rispondere ora. Riprovi più tardi. Arrivederci.",
            Self::OwnNumber => {
                "Questo numero la mette in contatto con i suoi clienti. Nessuno è in attesa. Arrivederci."
            }
            Self::Recorded => "Questa chiamata viene registrata.",
        }
    }

    const fn portuguese(self) -> &'static str {
        match self {
            Self::Goodbye => "Adeus.",
            Self::CustomerSilent => "O cliente não atendeu. Adeus.",
            Self::NobodyFree => "Desculpe, ninguém pode atender agora. Tente mais tarde. Adeus.",
            Self::OwnNumber => "Este número liga os seus clientes a si. Ninguém está à espera. Adeus.",
            Self::Recorded => "Esta chamada é gravada.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_spoken_in_the_language_it_is_written_in() {
        assert_eq!(Phrase::Goodbye.said_in("de-AT"), ("Auf Wiederhören.", "de-AT"));
        assert_eq!(Phrase::Goodbye.said_in("EN_nz"), ("Goodbye.", "EN_nz"));
        for unknown in ["mi-NZ", ""] {
            assert_eq!(Phrase::Recorded.said_in(unknown), ("This call is recorded.", "en-US"));
        }
    }

    #[test]
    fn a_last_sentence_ends_the_call() {
        assert!(Phrase::CustomerSilent.and_hang_up("en-NZ").0.ends_with("Goodbye.</Say><Hangup/></Response>"));
    }
}
