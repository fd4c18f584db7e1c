//! A view of a byte string in which fields show what they refer to instead of how far away it is.
//!
//! Two builds of a function differ in most of their addresses. In the views they agree, so they are found and aligned
//! as if nothing had moved.

use std::sync::Arc;

use super::approximate::Seen;
use crate::base::Base;
use crate::fields::{Fields, Instruction};
use crate::layout::Layout;
use crate::map::Map;
use crate::predict::{Predictor, Shape, low, number};

/// What is seen of a byte string.
#[derive(Debug)]
pub(crate) struct View {
    /// Of a field in code it shows only that it is one: more of code is alike than what it calls.
    alike: Vec<u8>,
    /// Every field shows the address in the target of what it refers to, if a copy has that.
    told: Vec<u8>,
}

impl View {
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen { alike: &self.alike, told: &self.told }
    }
}

/// The view of `bytes`, whose programs `layout` describes, which has `fields` in them, and whose bytes `map` takes to
/// the target.
pub(crate) fn view(bytes: &[u8], layout: &Layout, fields: Arc<Fields>, map: Map) -> Option<View> {
    let len = u32::try_from(Base::len(bytes)).ok()?;
    let mut predictor = Predictor::new(layout.clone(), fields, map);
    let (mut alike, mut told) = (bytes.to_vec(), bytes.to_vec());
    let mut at = 0;
    while let Some((field, shape)) = predictor.next(at, len) {
        at = field + shape.len();
        let place = field as usize..at as usize;
        if let Shape::CallSite(_) = shape {
            for (field, shape) in predictor.numbers(field, &bytes[place.clone()]) {
                let place = field as usize..(field + shape.len()) as usize;
                if let Some(moved) = predictor.moved((field, shape), number(&bytes[place.clone()])) {
                    show(&mut alike[place.clone()], moved);
                    show(&mut told[place], moved);
                }
            }
            continue;
        }
        let value = number(&bytes[place.clone()]);
        let address = predictor.label((field, shape), value);
        let label = address.map_or(0, |address| address.wrapping_mul(0x9e37_79b9_7f4a_7c15).swap_bytes());
        let (blank, label) = match shape {
            Shape::FromEnd | Shape::Literal(_) => (0, label),
            Shape::Instruction(any) if any != Instruction::INDEX => {
                let word = low(value);
                let blank = u64::from(any.read(word).map_or(word, |instruction| instruction.blank(word)));
                (blank, blank)
            }
            _ => (label, label),
        };
        show(&mut alike[place.clone()], blank);
        show(&mut told[place], label);
    }
    Some(View { alike, told })
}

fn show(place: &mut [u8], number: u64) {
    place.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, shown)| *byte = shown);
}
