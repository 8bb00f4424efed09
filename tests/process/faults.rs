//! A disk that is full and a folder that is lost: every call is denied for that reason, and nothing need be restarted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::service::{Service, http, ping, stop};

struct Running {
    service: Service,
    process: Child,
    client: AuthorizationClient<Channel>,
}

async fn running(file: &str) -> Running {
    let service = Service::new(&json!({}));
    let file = service.folder.path().join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let service = service.with(&json!({ "audit": { "file": file, "retry_interval": "20ms" } }));
    let process = service.start();
    let client = service.client().await;
    Running {
        service,
        process,
        client,
    }
}

impl Running {
    /// The status and reason of a denial; `None` if it is allowed.
    async fn ask(&mut self) -> Option<(i32, String)> {
        let mut question = tonic::Request::new(ping(1));
        question.set_timeout(Duration::from_secs(4));
        let answer = self.client.check(question).await.unwrap().into_inner();
        match answer.http_response.unwrap() {
            HttpResponse::DeniedResponse(denied) => {
                let body: Value = serde_json::from_str(&denied.body).unwrap();
                let reason = body["error"]["data"]["reason"].as_str().unwrap().to_owned();
                Some((denied.status.unwrap().code, reason))
            }
            _ => None,
        }
    }

    /// Waits, by asking, until a call is denied for want of an audit; then readiness and metrics say so too.
    async fn until_denied(&mut self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            if let Some(denied) = self.ask().await {
                assert_eq!(denied, (503, "audit_unavailable".to_owned()));
                break;
            }
        }
        let ready = http(self.service.http, "/ready").await;
        assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
        let metrics = http(self.service.http, "/metrics").await;
        assert!(metrics.contains("mcp_authz_audit_writable 0"), "{metrics}");
    }

    async fn until_allowed(&mut self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while self.ask().await.is_some() {
            ticks.tick().await;
        }
        let metrics = http(self.service.http, "/metrics").await;
        assert!(metrics.contains("mcp_authz_audit_writable 1"), "{metrics}");
    }
}

#[tokio::test]
async fn a_full_disk_denies_every_call_and_is_forgotten_when_there_is_room() {
    let mut running = running("audit/audit.jsonl").await;
    running.until_allowed().await;
    let folder = running.service.folder.path().join("audit");
    let lead_to = |place: &Path| {
        symlink(place, folder.join("next")).unwrap();
        fs::rename(folder.join("next"), folder.join("audit.jsonl")).unwrap();
    };
    lead_to(Path::new("/dev/full"));
    running.until_denied().await;
    lead_to(&folder.join("elsewhere"));
    running.until_allowed().await;
    stop(running.process);
    let records = fs::read_to_string(folder.join("elsewhere")).unwrap();
    // What was decided while the disk was full is there, with what was answered.
    assert!(records.contains("\"reason\":\"audit_unavailable\""), "{records}");
    assert!(records.contains("\"corrects\":\"allowed\""), "{records}");
}

#[tokio::test]
async fn a_lost_folder_denies_every_call_and_is_found_again() {
    let mut running = running("audit/audit.jsonl").await;
    running.until_allowed().await;
    let folder = running.service.folder.path().join("audit");
    fs::remove_dir_all(&folder).unwrap();
    running.until_denied().await;
    fs::create_dir(&folder).unwrap();
    running.until_allowed().await;
    stop(running.process);
    let records = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    assert!(
        records.lines().last().unwrap().contains("\"event\":\"closed\""),
        "{records}"
    );
}
