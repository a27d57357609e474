//! An arbitrary chat template.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|template: &str| {
    let format = json!({"prefix": "", "suffix": "", "system": "Be brief.", "chat": {"template": template}});
    let format: policy::PromptFormat = serde_json::from_value(format).expect("a format");
    if let Ok(prompt) = format.prompt_without_model() {
        prompt.render("1 + 1?", "2");
    }
});
