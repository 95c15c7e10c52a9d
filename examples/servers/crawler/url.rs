//! The addresses of pages: plain `http`, of one site.

use std::fmt;

/// The address of a page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Url {
    /// The host, with the port if it is not 80.
    pub(crate) host: String,
    /// The path from the slash on, with the query.
    pub(crate) path: String,
}

impl Url {
    /// Parses an address.
    ///
    /// # Errors
    /// Why the text is no valid address.
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| format!("{text:?} does not begin with http://"))?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let is_strange = |text: &str| text.contains(|c: char| c.is_whitespace() || c.is_control());
        if host.is_empty() || is_strange(host) || is_strange(path) || host.contains('@') {
            return Err(format!("{text:?} is no address of a page"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url {
            host: host.to_ascii_lowercase(),
            path: format!("{slash}{path}"),
        })
    }

    /// Returns the target of a link on this page, if it is a page of the same site.
    pub(crate) fn join(&self, link: &str) -> Option<Url> {
        let link = link.split('#').next().unwrap_or_default();
        let text = match link.as_bytes() {
            [] => return None,
            [b'/', b'/', ..] => format!("http:{link}"),
            [b'/', ..] => format!("http://{}{link}", self.host),
            _ if link.contains(':') => link.to_owned(),
            _ => {
                let folder = self.path.split('?').next().unwrap_or_default();
                let folder = &folder[..=folder.rfind('/').unwrap_or(0)];
                format!("http://{}{folder}{link}", self.host)
            }
        };
        Url::parse(&text).ok().filter(|url| url.host == self.host)
    }

    /// Returns the address for a connection.
    pub(crate) fn host_and_port(&self) -> String {
        let after_v6 = self.host.rfind(']').unwrap_or(0);
        let port = if self.host[after_v6..].contains(':') {
            ""
        } else {
            ":80"
        };
        format!("{}{port}", self.host)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.host, self.path)
    }
}

/// Returns the targets of a page's links, in their order. It understands only as much HTML as that
/// needs.
pub(crate) fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(link, _)| link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, host, path) in [
            ("http://Host", "host:80", "/"),
            ("http://host:8080/a/b?c#d", "host:8080", "/a/b?c"),
            ("http://host?q", "host:80", "/?q"),
            ("http://[::1]/", "[::1]:80", "/"),
            ("http://[::1]:81/", "[::1]:81", "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((&*url.host_and_port(), &*url.path), (host, path));
        }
        for bad in [
            "",
            "host/",
            "https://host/",
            "http://",
            "http:///x",
            "http://a b/",
            "http://a/\r\nX:",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_links_mean() {
        let base = Url::parse("http://host/a/b?c").unwrap();
        for (link, path) in [
            ("/x", Some("/x")),
            ("x?y", Some("/a/x?y")),
            ("http://HOST/x", Some("/x")),
            ("//host/x#part", Some("/x")),
            ("http://other/x", None),
            ("mailto:someone", None),
            ("#part", None),
        ] {
            let joined = base.join(link).map(|url| url.path);
            assert_eq!(joined.as_deref(), path, "{link}");
        }
        let page = "<a href=\"/1\">1</a> <a href=\"2\">2</a> <a href=\"";
        assert_eq!(links(page).collect::<Vec<_>>(), ["/1", "2"]);
    }
}
