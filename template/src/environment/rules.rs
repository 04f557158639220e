//! Rules for values. A message continues the variable's name, and repeats nothing that could be a
//! secret.

use std::net::IpAddr;

use url::{Host, Url};

pub type CheckResult = Result<(), String>;

pub fn must_be(what: &str, is_met: bool) -> CheckResult {
    if is_met {
        Ok(())
    } else {
        Err(format!("must be {what}"))
    }
}

/// Text that fits on one line of YAML.
pub fn single_line(value: &str) -> CheckResult {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    must_be(
        "one line without control characters",
        !value.contains(breaks),
    )
}

pub fn log_level(value: &str) -> CheckResult {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    must_be(
        &format!("one of {}", levels.join(", ")),
        levels.contains(&value),
    )
}

pub fn boolean(value: &str) -> CheckResult {
    must_be("true or false", ["true", "false"].contains(&value))
}

/// An integer from `MIN` to `MAX`, written as YAML would write it.
pub fn number<const MIN: u32, const MAX: u32>(value: &str) -> CheckResult {
    let number = value
        .parse::<u32>()
        .ok()
        .filter(|number| number.to_string() == value);
    must_be(
        &format!("an integer from {MIN} to {MAX}"),
        number.is_some_and(|number| (MIN..=MAX).contains(&number)),
    )
}

/// An origin as browsers send it: ASCII, without a path or trailing slash.
pub fn origin(value: &str) -> CheckResult {
    let url = Url::parse(value).ok();
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return must_be("a URL that begins with https://", false);
    };
    let origin = url.origin().ascii_serialization();
    must_be(&format!("just {origin}"), value == origin)
}

/// Comma-separated origins.
pub fn origins(value: &str) -> CheckResult {
    value.split(',').map(str::trim).try_for_each(origin)
}

/// A URL of the same kind as the example, and not of an in-memory database.
pub fn url_like(value: &str, example: &str) -> CheckResult {
    let is_alike = match (Url::parse(value), Url::parse(example)) {
        (Ok(url), Ok(example)) => {
            url.scheme().starts_with(example.scheme())
                && (url.has_host() || url.path().len() > 1)
                && (url.path().len() > 1 || example.path().len() <= 1)
        }
        _ => false,
    };
    let is_in_memory = value.contains(":memory:") || value.contains("mode=memory");
    must_be("a URL of this kind", is_alike && !is_in_memory)
}

/// Where to listen: an IP address or a name of this machine.
pub fn binding(value: &str) -> CheckResult {
    let is_in_brackets = Host::parse(value).is_ok_and(|host| matches!(host, Host::Ipv6(_)));
    must_be(
        "an IP address or a host name without a port",
        is_host(value) || is_in_brackets,
    )
}
{%- unless memory_profile == "system" %}

/// An IP address and a port.
pub fn socket_address(value: &str) -> CheckResult {
    let is_socket = value.parse::<std::net::SocketAddr>().is_ok();
    must_be("an IP address and a port", is_socket)
}

/// A token that fits into a header and is hard to guess.
pub fn token(value: &str) -> CheckResult {
    let is_long = value.len() >= 16 && value.bytes().all(|byte| byte.is_ascii_graphic());
    must_be("16 or more visible ASCII characters", is_long)
}
{%- endunless %}

/// An IP address or a host name.
pub fn is_host(value: &str) -> bool {
    let is_name = |host| matches!(host, Host::Domain(name) if name == value.to_ascii_lowercase());
    value.parse::<IpAddr>().is_ok() || Host::parse(value).is_ok_and(is_name)
}
