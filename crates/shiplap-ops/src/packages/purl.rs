//! Package URLs (the specification of ECMA-427, "Package-URL"): `pkg:deb/debian/libc6@2.36-9?arch=amd64`.

use super::{Distribution, Ecosystem, Package};

/// The URL of a package of an image of that distribution.
pub(super) fn of(package: &Package, distribution: Option<&Distribution>) -> Option<String> {
    let mut qualifiers: Vec<(&str, String)> = Vec::new();
    let mut namespace = None;
    let (kind, name) = match package.ecosystem {
        Ecosystem::Deb | Ecosystem::Apk | Ecosystem::Rpm => {
            if let Some(architecture) = &package.architecture {
                qualifiers.push(("arch", architecture.clone()));
            }
            if let Some(distribution) = distribution {
                namespace = Some(distribution.id.to_lowercase());
                let version = &distribution.version;
                let dash = if version.is_empty() { "" } else { "-" };
                qualifiers.push(("distro", format!("{}{dash}{version}", distribution.id)));
            }
            (package.ecosystem.name(), package.name.clone())
        }
        Ecosystem::Python => {
            let name = package.name.to_lowercase().replace('_', "-");
            ("pypi", name)
        }
        Ecosystem::Node => match package.name.split_once('/') {
            Some((scope, name)) => {
                namespace = Some(scope.to_owned());
                ("npm", name.to_owned())
            }
            None => ("npm", package.name.clone()),
        },
        Ecosystem::Cargo => ("cargo", package.name.clone()),
        Ecosystem::Go => match package.name.rsplit_once('/') {
            Some((above, name)) => {
                namespace = Some(above.to_lowercase());
                ("golang", name.to_lowercase())
            }
            None => ("golang", package.name.to_lowercase()),
        },
    };
    let mut version = package.version.clone();
    if package.ecosystem == Ecosystem::Rpm
        && let Some((epoch, rest)) = package.version.split_once(':')
    {
        qualifiers.push(("epoch", epoch.to_owned()));
        version = rest.to_owned();
    }
    (!name.is_empty()).then(|| join(kind, namespace.as_deref(), &name, &version, qualifiers))
}

fn join(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: &str,
    mut qualifiers: Vec<(&str, String)>,
) -> String {
    let mut url = format!("pkg:{kind}/");
    let parts = namespace.into_iter().flat_map(|path| path.split('/'));
    for part in parts.filter(|part| !part.is_empty()) {
        url.push_str(&encode(part));
        url.push('/');
    }
    url.push_str(&encode(name));
    if !version.is_empty() {
        url.push('@');
        url.push_str(&encode(version));
    }
    qualifiers.sort();
    for (number, (key, value)) in qualifiers.iter().enumerate() {
        url.push(if number == 0 { '?' } else { '&' });
        url.push_str(key);
        url.push('=');
        url.push_str(&encode(value));
    }
    url
}

/// Encodes what a part must not hold as it is.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
