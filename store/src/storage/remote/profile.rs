//! The files in which the AWS tools keep profiles, for what the environment leaves open.
//!
//! As those tools do: the environment comes first; then the profile that `AWS_PROFILE` names, else `default`, from
//! `~/.aws/credentials` and `~/.aws/config` (or where `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE`
//! point). Keys, region and endpoint are taken; what needs another program or a login is refused by name.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption, Properties};
use object_store::aws::AmazonS3ConfigKey;

/// Looks a variable up.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Any of these in the environment, and credentials are not looked for in files.
const CREDENTIALS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// Ways to credentials that the tools have and we have not.
const ELSEWHERE: [&str; 5] = [
    "role_arn",
    "sso_session",
    "sso_account_id",
    "credential_process",
    "credential_source",
];

/// Settings that the environment leaves open, from this process's own.
pub(super) fn settings() -> io::Result<Vec<(AmazonS3ConfigKey, String)>> {
    settings_of(&|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
}

fn settings_of(environment: Environment<'_>) -> io::Result<Vec<(AmazonS3ConfigKey, String)>> {
    let asked = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
    let asked = asked.iter().find_map(|name| environment(name));
    let name = asked.as_deref().unwrap_or("default");
    let [credentials, config] = [
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ("AWS_CONFIG_FILE", "config"),
    ]
    .map(|(variable, file)| read(&place(environment, variable, file)));
    let (credentials, config) = (credentials?, config?);
    let in_config = if name == "default" {
        config.section(Some(name))
    } else {
        config.section(Some(format!("profile {name}")))
    };
    let sections = [credentials.section(Some(name)), in_config];
    if asked.is_some() && sections == [None, None] {
        return Err(wrong(format!(
            "there is no profile `{name}`, which AWS_PROFILE names, in the files of the AWS tools"
        )));
    }
    let found = |key: &str| sections.iter().flatten().find_map(|s| s.get(key));
    let mut settings = Vec::new();
    let mut take = |key, value: Option<&str>| settings.extend(value.map(|v| (key, v.to_owned())));
    let is_open = |names: &[&str]| names.iter().all(|name| environment(name).is_none());
    if is_open(&CREDENTIALS) {
        take(AmazonS3ConfigKey::AccessKeyId, found("aws_access_key_id"));
        take(
            AmazonS3ConfigKey::SecretAccessKey,
            found("aws_secret_access_key"),
        );
        take(AmazonS3ConfigKey::Token, found("aws_session_token"));
        refuse_elsewhere(name, &sections)?;
    }
    if is_open(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        take(AmazonS3ConfigKey::Region, found("region"));
    }
    if is_open(&["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"]) {
        take(AmazonS3ConfigKey::Endpoint, found("endpoint_url"));
    }
    Ok(settings)
}

/// A profile without keys that says where to get some is not one to pass over.
fn refuse_elsewhere(name: &str, sections: &[Option<&Properties>]) -> io::Result<()> {
    let has = |key: &str| sections.iter().flatten().any(|s| s.contains_key(key));
    let Some(key) = ELSEWHERE
        .iter()
        .find(|key| has(key))
        .filter(|_| !has("aws_access_key_id"))
    else {
        return Ok(());
    };
    Err(wrong(format!(
        "the AWS profile `{name}` gets its credentials by `{key}`, which chipmill does not do; \
         `eval \"$(aws configure export-credentials --profile {name} --format env)\"` puts them into the environment"
    )))
}

fn place(environment: Environment<'_>, variable: &str, file: &str) -> Option<PathBuf> {
    let usual = || Some(Path::new(&environment("HOME")?).join(".aws").join(file));
    environment(variable).map(PathBuf::from).or_else(usual)
}

/// An absent file is empty.
fn read(path: &Option<PathBuf>) -> io::Result<Ini> {
    let Some(path) = path else {
        return Ok(Ini::new());
    };
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ini::new()),
        Err(error) => {
            let text = format!("cannot read {}: {error}", path.display());
            return Err(io::Error::new(error.kind(), text));
        }
        Ok(text) => text,
    };
    // Secrets may hold any character, and the file of the tools knows no escapes.
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    };
    // The parser's own message might quote the line.
    Ini::load_from_str_opt(&text, options).map_err(|error| {
        wrong(format!(
            "{}, line {}: expected `[profile]` and `key = value`",
            path.display(),
            error.line
        ))
    })
}

fn wrong(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = DEFAULTID\naws_secret_access_key = a/b+c=\\d\n\
                               # a comment\n[lab]\naws_access_key_id=LABID\naws_secret_access_key=LABSECRET\n\
                               aws_session_token = TOKEN\n";
    const CONFIG: &str = "[default]\nregion = eu-central-1\n[profile lab]\nregion = us-west-2\n\
                          endpoint_url = https://s3.lab.example\n[profile sso]\nsso_session = x\n";

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(credentials: &str, config: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join(".aws")).unwrap();
            for (name, text) in [("credentials", credentials), ("config", config)] {
                std::fs::write(folder.path().join(".aws").join(name), text).unwrap();
            }
            Self(folder)
        }

        fn settings(
            &self,
            environment: &[(&str, &str)],
        ) -> io::Result<Vec<(AmazonS3ConfigKey, String)>> {
            let home = self.0.path().to_str().unwrap().to_owned();
            settings_of(&|name: &str| match name {
                "HOME" => Some(home.clone()),
                name => environment
                    .iter()
                    .find(|e| e.0 == name)
                    .map(|e| e.1.to_owned()),
            })
        }
    }

    fn pairs(settings: &[(AmazonS3ConfigKey, String)]) -> Vec<(AmazonS3ConfigKey, &str)> {
        settings.iter().map(|(k, v)| (*k, v.as_str())).collect()
    }

    #[test]
    fn the_profile_fills_what_the_environment_leaves_open_and_nothing_else() {
        use AmazonS3ConfigKey as Key;
        let home = Home::new(CREDENTIALS, CONFIG);
        let found = home.settings(&[]).unwrap();
        assert_eq!(
            pairs(&found),
            [
                (Key::AccessKeyId, "DEFAULTID"),
                (Key::SecretAccessKey, "a/b+c=\\d"),
                (Key::Region, "eu-central-1"),
            ]
        );
        let found = home.settings(&[("AWS_PROFILE", "lab")]).unwrap();
        assert_eq!(
            pairs(&found),
            [
                (Key::AccessKeyId, "LABID"),
                (Key::SecretAccessKey, "LABSECRET"),
                (Key::Token, "TOKEN"),
                (Key::Region, "us-west-2"),
                (Key::Endpoint, "https://s3.lab.example"),
            ]
        );
        let given = [
            ("AWS_ACCESS_KEY_ID", "X"),
            ("AWS_REGION", "r"),
            ("AWS_PROFILE", "lab"),
        ];
        let found = home.settings(&given).unwrap();
        assert_eq!(pairs(&found), [(Key::Endpoint, "https://s3.lab.example")]);
        let nobody = Home::new("", "");
        assert!(nobody.settings(&[]).unwrap().is_empty());
    }

    #[test]
    fn unknown_profiles_logins_and_broken_files_are_named_and_no_secret_is() {
        let home = Home::new(CREDENTIALS, CONFIG);
        let refused = |home: &Home, profile: &str| {
            home.settings(&[("AWS_PROFILE", profile)])
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&home, "field").contains("no profile `field`"));
        assert!(refused(&home, "sso").contains("`sso_session`"));
        let broken = Home::new("[default]\naws_secret_access_key SECRET\n", "");
        let error = broken.settings(&[]).unwrap_err().to_string();
        assert!(
            error.contains("credentials, line ") && !error.contains("SECRET"),
            "{error}"
        );
    }
}
