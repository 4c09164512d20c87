//! Foreign text, made fit for a log line.

/// How many characters of somebody else's text an error keeps.
pub(super) const KEPT: usize = 1_000;

/// The text as one line of at most [`KEPT`] characters: each run of blanks and control characters
/// becomes one space.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut kept = 0;
    let mut blank = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() {
            blank = !line.is_empty();
            continue;
        }
        if kept + usize::from(blank) >= KEPT {
            line.push('…');
            return line;
        }
        if std::mem::take(&mut blank) {
            line.push(' ');
            kept += 1;
        }
        line.push(c);
        kept += 1;
    }
    line
}

/// The text without the secret, should somebody have sent it back.
pub(super) fn without(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    text.replace(secret, "<secret>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_line_breaks_become_single_spaces() {
        assert_eq!(one_line("\r\n a\tb\u{1b}[31m\n\nc \u{0}"), "a b [31m c");
        assert_eq!(one_line(" \n"), "");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let line = one_line(&"ä".repeat(KEPT + 5));
        assert_eq!(line.chars().count(), KEPT + 1);
        assert!(line.ends_with("ä…"));
        assert_eq!(one_line(&"x".repeat(KEPT)).len(), KEPT);
    }

    #[test]
    fn an_echoed_secret_is_taken_out() {
        assert_eq!(without("bad hunter2!", "hunter2"), "bad <secret>!");
        assert_eq!(without("as it is", ""), "as it is");
    }
}
