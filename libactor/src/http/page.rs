//! The page at `/`: what runs here, and where to look.

use std::fmt::{self, Write};

use super::builtin::ROUTES;
use super::{HttpResponse, StatusCode};
use crate::Node;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:48rem;padding:0 1rem;\
color:#222;background:#fff}h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}td{border-top:1px solid #ddd;padding:.3rem .6rem .3rem 0;\
vertical-align:top}td:first-child{width:16rem;overflow-wrap:anywhere}a{color:#0a58a8;text-decoration:none}\
a:hover{text-decoration:underline}.quiet{color:#666;margin-top:0}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td{border-color:#333}a{color:#7fb8f0}\
.quiet{color:#999}}";

pub(super) fn page(node: &Node) -> HttpResponse {
    let mut html = String::new();
    // Writing to a String can't fail.
    let _ = write(node, &mut html);
    HttpResponse::new(StatusCode::OK, "text/html; charset=utf-8", html)
}

fn write(node: &Node, html: &mut String) -> fmt::Result {
    let name = node.delegate().unwrap_or_else(|| "node".to_owned());
    let title = format!("{} on {}", escape(&name), node.address());
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<p class=\"quiet\">"
    )?;
    let version = node.config().version.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{} {}", escape(name), escape(&value))
    });
    writeln!(html, "{}</p>", version.collect::<Vec<_>>().join(" &middot; "))?;
    section(html, "The program", ROUTES.iter().map(|(path, help)| ((*path).to_owned(), (*help).to_owned())))?;
    for entry in node.entries() {
        let routes = entry.routes.iter().map(|route| {
            let slash = if route.path == "/" { "" } else { &route.path };
            (format!("/{}{slash}", entry.pid.name()), route.help.clone())
        });
        if !entry.routes.is_empty() {
            section(html, entry.pid.name(), routes)?;
        }
    }
    html.push_str("</body></html>\n");
    Ok(())
}

fn section(html: &mut String, title: &str, rows: impl Iterator<Item = (String, String)>) -> fmt::Result {
    writeln!(html, "<h2>{}</h2>\n<table>", escape(title))?;
    for (path, help) in rows {
        let (path, help) = (escape(&path), escape(&help));
        writeln!(html, "<tr><td><a href=\"{path}\">{path}</a></td><td>{help}</td></tr>")?;
    }
    html.push_str("</table>\n");
    Ok(())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
