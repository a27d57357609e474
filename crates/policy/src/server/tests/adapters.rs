//! Tests of adapters that a server loads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::fake::{Fake, Reply, VLLM};
use super::{Server, ServerOptions, greedy, policy, write};
use crate::Termination;

const NAME: &str = "alphallm-0123";
const DIR: &str = "/runs/round-01/policy";

/// A server that loads adapters, or does not know what that is.
fn fake(loads: bool) -> Fake {
    let loaded = AtomicBool::new(false);
    Fake::start(VLLM, move |asked, _, reply| match asked.path.as_str() {
        "/v1/load_lora_adapter" if loads => {
            loaded.store(true, Ordering::SeqCst);
            let said = format!("LoRA adapter '{NAME}' added");
            Reply::Whole(200, String::new(), said)
        }
        "/v1/models" if loaded.load(Ordering::SeqCst) => {
            let body = json!({"data": [{"id": "tiny"}, {"id": NAME, "parent": "tiny"}]});
            Reply::Whole(200, String::new(), body.to_string())
        }
        _ => reply,
    })
}

fn connect(fake: &Fake) -> Result<Server, crate::Error> {
    let adapters = (NAME, Path::new(DIR));
    Server::connect_to_adapters(&fake.address, None, ServerOptions::default(), adapters)
}

#[test]
fn a_server_loads_adapters_once_and_answers_with_them() {
    let fake = fake(true);
    let server = connect(&fake).unwrap();
    assert_eq!(server.model(), NAME);
    write(&policy(server, Termination::Line), &[greedy("")]).unwrap();
    connect(&fake).unwrap();
    let asked = fake.asked();
    let loads: Vec<_> = asked.iter().filter(|asked| asked.path.contains("lora")).collect();
    assert_eq!(loads.len(), 1, "the second connection finds them");
    assert_eq!(loads[0].body, json!({"lora_name": NAME, "lora_path": DIR}));
    let completions = asked.iter().filter(|asked| asked.path.ends_with("/completions"));
    assert!(completions.map(|asked| &asked.body["model"]).all(|model| model == NAME));
}

#[test]
fn a_server_that_loads_no_adapters_is_refused_with_what_to_do() {
    let error = connect(&fake(false)).unwrap_err().to_string();
    for said in ["404", "--enable-lora", "--lora-modules alphallm-0123=/runs/round-01/policy"] {
        assert!(error.contains(said), "{error}");
    }
}
