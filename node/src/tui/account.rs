//! The form for an account that is made at a console.

use isoforge_contract::machine::PasswordRules;

use super::form::{Field, Form};
use super::{Secret, typed};

/// Index of a field.
pub(crate) mod field {
    pub(crate) const NAME: usize = 0;
    pub(crate) const PASSWORD: usize = 1;
    pub(crate) const AGAIN: usize = 2;
    pub(crate) const SSH_KEY: usize = 3;
}

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) name: String,
    pub(crate) password: Secret,
    pub(crate) ssh_key: Option<String>,
}

/// An empty form.
pub(crate) fn form() -> Form {
    Form::new(vec![
        Field::text("Name", ""),
        Field::secret("Password"),
        Field::secret("Password again"),
        Field::text("SSH key (optional)", ""),
    ])
}

/// The account that was typed; `taken` are the accounts that the system has.
///
/// # Errors
/// What is wrong, with the field that it is wrong in.
pub(crate) fn typed(
    form: &Form,
    taken: &[String],
    rules: PasswordRules,
) -> Result<Typed, (usize, String)> {
    let value = |field| form.value(field);
    let name = typed::account_name(&value(field::NAME), taken).map_err(|e| (field::NAME, e))?;
    let password = value(field::PASSWORD);
    typed::new_password(&password, rules).map_err(|e| (field::PASSWORD, e))?;
    typed::password(&password, &value(field::AGAIN), rules).map_err(|e| (field::AGAIN, e))?;
    let ssh_key = typed::ssh_key(&value(field::SSH_KEY)).map_err(|e| (field::SSH_KEY, e))?;
    Ok(Typed {
        name,
        password: Secret(password),
        ssh_key,
    })
}
