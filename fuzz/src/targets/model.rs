//! Any bytes as a model file.

use flowkeep_core::identify::models::sample::Token;
use flowkeep_core::identify::models::{learn, merge, Carrier, Model, Models, Role, Sample};

use super::note;

/// A file is refused with a line that it has, or is a model: one that can be written and read again, merges with
/// itself into one that can, and can be asked.
pub fn model(data: &[u8], notes: &mut Vec<u64>) {
    let model = match Model::parse(data) {
        Ok(model) => model,
        Err(misfit) => {
            let lines = data.iter().filter(|&&byte| byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&misfit.line), "there is no line {}", misfit.line);
            assert!(misfit.what.chars().all(|c| !c.is_control()) && misfit.what.len() < 400, "{misfit}");
            // What was wrong, without the word that was there.
            notes.push(note(&misfit.what.split('\'').next()));
            return;
        }
    };
    let again = |model: &Model| Model::parse(model.to_string().as_bytes());
    assert_eq!(again(&model).as_ref(), Ok(&model), "it cannot be read again");
    if let Ok(merged) = merge(&[model.clone(), model.clone()]) {
        assert_eq!(again(&merged).as_ref(), Ok(&merged), "what was merged cannot be read");
    }
    notes.push(note(&model.parts.keys().collect::<Vec<_>>()));
    notes.push(note(&Models::new(&[model]).is_ok()));
}

/// Models of a few flows.
pub fn seeds() -> Vec<Vec<u8>> {
    let sample = |n: u8| Sample {
        turns: vec![Token { server: false, len: 12 }, Token { server: true, len: 900 + u16::from(n) }],
        sides: [vec![0xa7, 0x3c, n, 0, 0, 12], b"+HELLO there".to_vec()],
    };
    let of = |count: u8, carriers: &[Carrier]| {
        let flows = || {
            let all = carriers.iter().flat_map(|carrier| (0..count).map(|n| (*carrier, n)));
            all.map(|(carrier, n)| (Role::Chosen, carrier, Some(sample(n))))
        };
        learn("acme", flows).map(|learnt| learnt.model.to_string().into_bytes()).unwrap_or_default()
    };
    vec![
        of(1, &[Carrier::Tcp]),
        of(4, &[Carrier::Udp]),
        of(2, &[Carrier::Tcp, Carrier::Sctp, Carrier::Ip(47)]),
    ]
}
