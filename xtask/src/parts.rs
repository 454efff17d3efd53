//! The other programs that tests and measurements speak with: found, or installed.
//!
//! Debian packages are installed when we are root and named otherwise; packages of Node.js and Python go to
//! `target/parts`, so that nothing of the user's own is touched.

use crate::workspace::{find_program, root, run, target};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that comes as a Debian package.
pub(crate) struct Debian {
    /// What it is called when it is run; for what another program loads, its file.
    program: &'static str,
    /// The package that holds it.
    package: &'static str,
    /// The argument that makes it print its version; empty where it cannot.
    version: &'static str,
}

const NGINX: Debian = Debian { program: "nginx", package: "nginx", version: "-v" };
const HAPROXY: Debian = Debian { program: "haproxy", package: "haproxy", version: "-v" };
const WRK: Debian = Debian { program: "wrk", package: "wrk", version: "-v" };
const CURL: Debian = Debian { program: "curl", package: "curl", version: "--version" };
const NODE: Debian = Debian { program: "node", package: "nodejs", version: "--version" };
const NPM: Debian = Debian { program: "npm", package: "npm", version: "--version" };
const OPENSSL: Debian = Debian { program: "openssl", package: "openssl", version: "version" };
const POSTGRES: Debian =
    Debian { program: "postgres", package: "postgresql", version: "--version" };
// The program without the service that the package `apache2` would start.
const APACHE: Debian = Debian { program: "apache2", package: "apache2-bin", version: "-v" };
const APACHE_OPENIDC: Debian = Debian {
    program: "/usr/lib/apache2/modules/mod_auth_openidc.so",
    package: "libapache2-mod-auth-openidc",
    version: "",
};
const CHROMIUM: Debian = Debian { program: "chromium", package: "chromium", version: "--version" };
const CHROMEDRIVER: Debian =
    Debian { program: "chromedriver", package: "chromium-driver", version: "--version" };
const OATHTOOL: Debian = Debian { program: "oathtool", package: "oathtool", version: "--version" };

/// What the tests need from Debian.
pub(crate) const FOR_TESTS: &[Debian] = &[
    NGINX,
    CURL,
    OPENSSL,
    NODE,
    NPM,
    POSTGRES,
    APACHE,
    APACHE_OPENIDC,
    CHROMIUM,
    CHROMEDRIVER,
    OATHTOOL,
];
/// What pictures of pages need beside that.
pub(crate) const FOR_SCREENS: &[Debian] =
    &[Debian { program: "pngquant", package: "pngquant", version: "--version" }];
/// What the measurements need from Debian.
pub(crate) const FOR_BENCH: &[Debian] = &[NGINX, HAPROXY, WRK];

/// What the tests need from npm, with the versions they were written against.
const NODE_PACKAGES: &[(&str, &str)] = &[
    ("oidc-provider", "^9"),
    ("ws", "^8"),
    ("@grpc/grpc-js", "^1"),
    ("@grpc/proto-loader", "^0.8"),
    ("openid-client", "^6.8"),
    ("oauth4webapi", "^3.8"),
    ("@modelcontextprotocol/sdk", "^1.29"),
    // The releases that test authorization servers are all marked as early ones so far.
    ("@modelcontextprotocol/conformance", "0.2.0-alpha.12"),
    ("axe-core", "^4.14"),
    ("smtp-server", "^3"),
    ("mailparser", "^3"),
];

/// What the tests need from PyPI: the module that is imported, and what pip installs for it.
const PYTHON_PACKAGES: &[(&str, &str)] = &[
    ("authlib", "authlib>=1.6,<2"),
    ("requests", "requests>=2.32,<3"),
    ("mechanize", "mechanize>=0.4,<0.5"),
    ("scim2_tester", "scim2-tester>=0.5,<0.6"),
    ("httpx2", "scim2-client[httpx2]>=0.13,<0.14"),
];

/// The folder that holds what npm and pip installed.
pub(crate) fn folder() -> PathBuf {
    target().join("parts")
}

/// Finds each of `wanted`, or installs it.
///
/// # Errors
/// When something is missing and cannot be installed; the error names the packages.
pub(crate) fn debian(wanted: &[Debian]) -> Result<()> {
    let mut missing = Vec::new();
    for part in wanted {
        match locate(part) {
            Some(path) => println!("found {} ({})", version_of(part, &path), path.display()),
            None => missing.push(part),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|part| part.package).collect();
    if !can_install() {
        bail!(
            "these programs are missing: {}; install them, on Debian with \
             `apt-get install {}`, or run the unit tests only with `cargo xtask test --unit`",
            missing.iter().map(|part| part.program).collect::<Vec<_>>().join(", "),
            packages.join(" ")
        );
    }
    install(&packages)?;
    for part in missing {
        if locate(part).is_none() {
            bail!("package {} was installed, but {} is not there", part.package, part.program);
        }
    }
    Ok(())
}

/// Installs the fonts that the pages name first, where that can be done; without them pictures show others.
///
/// # Errors
/// When the packages cannot be installed.
pub(crate) fn fonts() -> Result<()> {
    let here = |folder: &str| Path::new("/usr/share/fonts").join(folder).is_dir();
    let missing: Vec<&str> =
        [("opentype/inter", "fonts-inter"), ("truetype/jetbrains-mono", "fonts-jetbrains-mono")]
            .into_iter()
            .filter_map(|(folder, package)| (!here(folder)).then_some(package))
            .collect();
    match missing.is_empty() || !can_install() {
        true => Ok(()),
        false => install(&missing),
    }
}

/// Finds the packages of Node.js in `target/parts`, or installs them there.
///
/// # Errors
/// When npm fails.
pub(crate) fn node() -> Result<()> {
    let folder = folder();
    std::fs::create_dir_all(&folder).context("cannot make target/parts")?;
    let modules = folder.join("node_modules");
    let (here, missing): (Vec<_>, Vec<_>) = NODE_PACKAGES
        .iter()
        .partition(|(name, _)| modules.join(name).join("package.json").is_file());
    for (name, _) in here {
        println!("found {name} {}", node_version(&modules.join(name)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    println!("installing {} (npm)", names.join(", "));
    let manifest = folder.join("package.json");
    if !manifest.is_file() {
        std::fs::write(&manifest, "{\"private\": true}\n").context("cannot write package.json")?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&folder);
    npm.args(["install", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]);
    npm.args(NODE_PACKAGES.iter().map(|(name, version)| format!("{name}@{version}")));
    run(&mut npm)
}

/// The program `name` of the Python package `package`: on the path, in `target/parts`, or installed there.
///
/// # Errors
/// When Python or its venv module is missing, or pip fails.
pub(crate) fn python(name: &str, package: &str) -> Result<PathBuf> {
    let environment = folder().join("python");
    let own = environment.join("bin").join(name);
    if own.is_file() {
        println!("found {package} ({})", own.display());
        return Ok(own);
    }
    println!("installing {package} (pip)");
    pip(&[package])?;
    if !own.is_file() {
        bail!("package {package} was installed, but {name} is not in it");
    }
    Ok(own)
}

/// Finds the modules of Python that tests import in `target/parts`, or installs them there.
///
/// # Errors
/// As [`python`].
pub(crate) fn python_modules() -> Result<()> {
    let program = folder().join("python/bin/python");
    let imports = |module: &str| {
        let mut python = Command::new(&program);
        python.args(["-c", &format!("import {module}")]).stderr(Stdio::null());
        python.status().is_ok_and(|status| status.success())
    };
    let (here, missing): (Vec<_>, Vec<_>) =
        PYTHON_PACKAGES.iter().partition(|(module, _)| imports(module));
    for (module, _) in here {
        println!("found {module} (Python)");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    println!("installing {} (pip)", packages.join(", "));
    pip(&packages)
}

/// Installs packages into the environment in `target/parts`, which is made where there is none.
fn pip(packages: &[&str]) -> Result<()> {
    let environment = folder().join("python");
    let program = environment.join("bin/pip");
    let venv = || {
        let mut python = Command::new("python3");
        run(python.args(["-m", "venv", "--clear"]).arg(&environment))
    };
    // Debian parts Python from its venv.
    if !program.is_file() && venv().is_err() {
        if !can_install() {
            bail!("Python's venv is needed; on Debian `apt-get install python3-venv`");
        }
        install(&["python3-venv"])?;
        venv()?;
    }
    let mut pip = Command::new(program);
    run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))
}

/// The folder of PostgreSQL's server programs, where there is one.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop()
}

fn locate(part: &Debian) -> Option<PathBuf> {
    // Debian keeps PostgreSQL's server off the path, one folder a version.
    let server = || postgres_bin().map(|bin| bin.join(part.program)).filter(|file| file.is_file());
    find_program(part.program).or_else(server)
}

fn version_of(part: &Debian, path: &Path) -> String {
    if part.version.is_empty() {
        return part.package.to_owned();
    }
    let out = Command::new(path).arg(part.version).stdin(Stdio::null()).output();
    let text = out.map(|out| [out.stdout, out.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let version = text
        .split(|c: char| c.is_whitespace() || c == '/' || c == '=')
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    version.map_or_else(|| part.program.to_owned(), |version| format!("{} {version}", part.program))
}

fn node_version(package: &Path) -> String {
    let text = std::fs::read_to_string(package.join("package.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    json.get("version").and_then(|version| version.as_str()).unwrap_or("?").to_owned()
}

fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    println!("installing {names} (apt)");
    // One source that does not answer need not be the one that is needed.
    if let Err(error) = apt(&["update", "-q"]) {
        eprintln!("{error:#}");
    }
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(packages);
    apt(&install).with_context(|| {
        format!("{names} could not be installed; try `apt-get install {names}` by hand")
    })
}

fn apt(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.current_dir(root()).stdout(Stdio::null());
    // Others install as well: a machine's own upgrades, for one.
    apt.args(["-o", "DPkg::Lock::Timeout=120"]).args(args);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    // We want the programs, not their services: a run level at which nothing starts, and a systemctl that believes
    // it is in a chroot.
    apt.env("RUNLEVEL", "1").env("SYSTEMD_OFFLINE", "1");
    run(&mut apt)
}

/// Whether we are root on a Debian.
fn can_install() -> bool {
    let out = Command::new("id").arg("-u").output();
    out.is_ok_and(|out| out.stdout.trim_ascii() == b"0") && find_program("apt-get").is_some()
}
