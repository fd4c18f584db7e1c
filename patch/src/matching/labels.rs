//! A view of a byte string in which fields show what they refer to instead of how far away it is.
//!
//! Two builds of a function differ in most of their addresses. In the views they agree, so they are found and aligned
//! as if nothing had moved.

use crate::base::Base;
use crate::fields::{Fields, aarch64};
use crate::layout::Layout;
use crate::map::Map;
use crate::predict::{Predictor, Shape, low, number};

/// The view of `bytes`, whose programs `layout` describes and whose bytes `map` takes to the target.
///
/// A field shows the address in the target of what it refers to, if a copy has that; of other fields all that is seen
/// is that they are fields. In code that is all that is ever seen: more of it is alike than what it calls.
pub(crate) fn view(bytes: &[u8], layout: &Layout, map: Map) -> Option<Vec<u8>> {
    let len = u32::try_from(Base::len(bytes)).ok()?;
    let fields = Fields::find(bytes, len, layout).ok()?;
    let mut predictor = Predictor::new(layout.clone(), fields, map);
    let mut view = bytes.to_vec();
    let mut at = 0;
    while let Some((field, shape)) = predictor.next(at, len) {
        at = field + shape.len();
        let place = &mut view[field as usize..at as usize];
        let value = number(place);
        let shown = match shape {
            Shape::FromEnd => 0,
            Shape::Instruction(_) => u64::from(aarch64::blank(low(value))),
            _ => {
                let label = predictor.label((field, shape), value);
                label.map_or(0, |address| address.wrapping_mul(0x9e37_79b9_7f4a_7c15).swap_bytes())
            }
        };
        for (byte, shown) in place.iter_mut().zip(shown.to_le_bytes()) {
            *byte = shown;
        }
    }
    Some(view)
}
