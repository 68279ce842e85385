//! A folder, served on loopback.

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Serves a folder until the process ends; gives the address.
pub async fn serve(folder: &Path) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(file).with_state(Arc::new(folder.to_path_buf()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}

async fn file(State(folder): State<Arc<PathBuf>>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() || path.ends_with('/') {
        format!("{path}index.html")
    } else {
        path.to_owned()
    };
    let inside = !path.split('/').any(|part| part == "..");
    let content = if inside { tokio::fs::read(folder.join(&path)).await.ok() } else { None };
    match content {
        Some(bytes) => ([(header::CONTENT_TYPE, content_type(&path))], bytes).into_response(),
        // A browser asks for it without being told to.
        None if path == "favicon.ico" => StatusCode::NO_CONTENT.into_response(),
        // With a body: without one the browser shows a page of its own.
        None => (StatusCode::NOT_FOUND, "not found").into_response(),
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// The pages of a book, by their path in it: all but the table of contents, which stands in each of them.
pub fn pages(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut pages = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let entries = std::fs::read_dir(&next).with_context(|| next.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let page = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                if page != "toc.html" {
                    pages.push(page);
                }
            }
        }
    }
    pages.sort();
    anyhow::ensure!(!pages.is_empty(), "{} has no pages", folder.display());
    Ok(pages)
}
