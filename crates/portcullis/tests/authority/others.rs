//! Clients in other languages: PyPI's authlib, and Apache with mod_auth_openidc.

use crate::setup::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use testkit::{Browser, Landing, Person, converse_python, free_port};

fn authlib(client: &Client, flow: &str, person: &mut Person) -> Value {
    let script = testkit::workspace().join("crates/portcullis/tests/authority/python");
    let facts = client.clone().with("flow", flow).facts;
    converse_python(&script.join("authlib_client.py"), &facts, |question| answer(question, person))
}

#[test]
fn authlib_signs_a_person_in() {
    let stage = Stage::start();
    let mut person = Person::new(&stage.gate, "Grace Hopper");
    for auth in ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let client = stage.shop(&["--auth", auth]).with("api", stage.api());
        let result = authlib(&client, "code", &mut person);
        assert_eq!(result["claims"]["sub"], person.id(), "{auth}: {result}");
        assert_eq!(result["userinfo"]["email"], person.email(), "{auth}: {result}");
        assert_eq!(result["called"], 200, "{auth}: {result}");
        let renewed = result["renewed"]["access_token"].as_str().expect("a token");
        assert!(stage.passes(renewed), "{auth}: {result}");
    }
}

#[test]
fn authlib_gets_a_token_for_itself() {
    let stage = Stage::start();
    let mut nobody = Person::new(&stage.gate, "Nobody");
    for auth in ["client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let args = ["--auth", auth, "--grant", "client_credentials", "--scope", SCOPE];
        let client = stage.client("Job", &args).with("scope", SCOPE).with("api", stage.api());
        let result = authlib(&client, "client_credentials", &mut nobody);
        assert_eq!(result["called"], 200, "{auth}: {result}");
        let token = result["tokens"]["access_token"].as_str().expect("a token");
        assert!(stage.passes(token), "{auth}: {result}");
    }
    assert_eq!(nobody.saw(), Vec::<String>::new());
}

/// Apache in one process; it is ended when it is dropped.
struct Apache(Child);

impl Drop for Apache {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The modules of Apache that are loaded: one to listen, those that decide, one that shows the person's `sub`.
const MODULES: [&str; 8] = [
    "mpm_prefork",
    "authn_core",
    "authz_core",
    "authz_user",
    "dir",
    "mime",
    "include",
    "auth_openidc",
];

impl Apache {
    /// Serves `/protected/` to people that the authority knows.
    fn start(folder: &Path, port: u16, client: &Client, lines: &str) -> Self {
        let pages = folder.join("www/protected");
        std::fs::create_dir_all(&pages).expect("a folder");
        let page = "<h1>Welcome</h1><p>sub=<!--#echo var=\"OIDC_CLAIM_sub\" -->;\
                    email=<!--#echo var=\"OIDC_CLAIM_email\" -->;\
                    user=<!--#echo var=\"REMOTE_USER\" --></p>";
        std::fs::write(pages.join("index.shtml"), page).expect("a page");
        // It runs as a user of its own, who must be able to read the pages.
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, readable).expect("a readable folder");
        let at = folder.display();
        let modules = MODULES.map(|name| {
            format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
        });
        let text = |name: &str| client.facts[name].as_str().unwrap_or_default().to_owned();
        let config = format!(
            "ServerRoot {at}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {at}/pid\n\
             ErrorLog {at}/errors\nLogLevel info\nUser nobody\nGroup nogroup\n{}\
             DocumentRoot {at}/www\nDirectoryIndex index.shtml\nTypesConfig /etc/mime.types\n\
             AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml\n\
             <Directory {at}/www>\nOptions +Includes\n</Directory>\n\
             OIDCProviderMetadataURL {}/.well-known/openid-configuration\n\
             OIDCClientID {}\nOIDCClientSecret {}\nOIDCCryptoPassphrase of-the-test\n\
             OIDCRedirectURI http://localhost:{port}/protected/back\nOIDCScope \"openid email\"\n\
             OIDCRemoteUserClaim sub\n{lines}\n\
             <Location /protected>\nAuthType openid-connect\nRequire valid-user\n</Location>\n",
            modules.concat(),
            text("issuer"),
            text("client_id"),
            text("client_secret"),
        );
        let file = folder.join("apache.conf");
        std::fs::write(&file, config).expect("the configuration is written");
        let mut apache = Command::new("/usr/sbin/apache2");
        apache.arg("-X").arg("-f").arg(&file).stdin(Stdio::null());
        let apache = Self(apache.spawn().expect("Apache runs"));
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        testkit::wait::until(testkit::PATIENCE, "Apache", up);
        apache
    }
}

#[test]
fn apache_with_mod_auth_openidc_signs_a_person_in() {
    let stage = Stage::start();
    for (auth, lines) in [
        ("client_secret_basic", "OIDCPKCEMethod S256"),
        (
            "client_secret_post",
            "OIDCPKCEMethod S256\nOIDCProviderTokenEndpointAuth client_secret_post",
        ),
    ] {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder");
        let back = format!("http://localhost:{port}/protected/back");
        let args = ["--auth", auth, "--redirect-uri", &back, "--scope", "openid", "email"];
        let client = stage.client("Intranet", &args);
        let _apache = Apache::start(folder.path(), port, &client, lines);
        let log = || std::fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
        let site = format!("http://localhost:{port}");
        let mut person = Person::new(&stage.gate, "Alan Turing");
        let mut tab = Browser::new(&site);
        let Landing::Elsewhere(url) = tab.open(&format!("{site}/protected/")) else {
            panic!("Apache let a stranger in: {}", log());
        };
        let back = person.authorize(&url);
        assert_eq!(person.saw(), ["Sign in", "Allow Intranet?"]);
        let Landing::Page(page) = tab.open(&back) else { panic!("it leads away: {}", log()) };
        let shown = page.response.text();
        let id = person.id().to_owned();
        assert!(shown.contains(&format!("sub={id};")), "{auth}: {shown}\n{}", log());
        assert!(shown.contains(&format!("email={};", person.email())), "{auth}: {shown}");
        // The same code in another browser: no state, no session.
        let mut other = Browser::new(&site);
        let stolen = other.open(&back);
        let inside = matches!(&stolen, Landing::Page(page) if page.response.text().contains(&id));
        assert!(!inside, "{auth}: {stolen:?}");
    }
    let told = json!(stage.events("oauth.refused").len());
    assert_eq!(told, 0, "nothing was refused on the way");
}
