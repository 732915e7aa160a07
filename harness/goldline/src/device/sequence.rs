//! What DTR and RTS do at a reset, in the words of esptool's `custom_reset_sequence`.
//!
//! True is asserted, as pyserial has it; what that does to a pin is the circuit's. Must not know what a unit
//! makes of it.

use std::{io, str::FromStr, thread::sleep, time::Duration};

use super::line::Line;

/// Longer waits are a wrong unit of time: the sequence is of milliseconds.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the lines do, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sequence(Vec<Step>);

/// One change of lines, or a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// A line that is not named stays as it is.
    Set {
        dtr: Option<bool>,
        rts: Option<bool>,
    },
    Wait(Duration),
}

/// A text is no sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A step of it is none.
    #[error(
        "step \"{step}\" at character {position} is none: expected D0, D1, R0, R1, both at once as U1,0 (DTR, RTS), or a wait as W0.1 (seconds, at most 60)"
    )]
    Step {
        /// Of its first character in the text, from 1.
        position: usize,
        /// As given.
        step: String,
    },
    /// There is no step in it.
    #[error("the sequence is empty: expected steps such as D0|R1|W0.1|D1|R0|W0.05|D0")]
    Empty,
}

impl Sequence {
    /// Into the loader through the usual circuit of two transistors: RTS alone pulls EN low, DTR alone GPIO0.
    /// The waits are esptool's: the circuit's own capacitor sets them.
    pub fn classic() -> Self {
        Self::of([(0, 1, 100), (1, 0, 50), (0, 0, 0)])
    }

    /// Into the application through the same circuit.
    pub fn hard() -> Self {
        Self::of([(0, 1, 100), (0, 0, 0)])
    }

    /// Into the loader by the chip's own USB (S3, C3, C6, P4 …): DTR alone is remembered as the wish for the
    /// loader, RTS alone resets the chip, and both released forget the wish. Times are esptool's.
    pub fn usb_jtag() -> Self {
        Self::of([(0, 0, 100), (1, 0, 100), (0, 1, 100), (0, 0, 0)])
    }

    /// Into the application by the same.
    pub fn usb_jtag_hard() -> Self {
        Self::of([(0, 0, 0), (0, 1, 200), (0, 0, 200)])
    }

    fn of<const N: usize>(states: [(u8, u8, u64); N]) -> Self {
        let steps = |(dtr, rts, ms)| {
            let set = Step::Set { dtr: Some(dtr == 1), rts: Some(rts == 1) };
            let wait = (ms > 0).then_some(Step::Wait(Duration::from_millis(ms)));
            [Some(set), wait]
        };
        Self(states.into_iter().flat_map(steps).flatten().collect())
    }

    /// Lets the lines of a port do it.
    ///
    /// # Errors
    /// When the port has no such lines, or went away.
    pub(super) fn play(&self, line: &mut Line) -> serialport::Result<()> {
        for step in &self.0 {
            match *step {
                Step::Set { dtr, rts } => line.set_lines(dtr, rts)?,
                Step::Wait(time) => sleep(time),
            }
            if line.is_cancelled() {
                return Err(io::Error::from(io::ErrorKind::Interrupted).into());
            }
        }
        Ok(())
    }

    /// Lines that change without a wait between them change at once, as far as each does so once: on the way
    /// from one state to the next a unit could start otherwise.
    fn together(steps: impl Iterator<Item = Step>) -> Vec<Step> {
        let mut together: Vec<Step> = Vec::new();
        for step in steps {
            let joined = match (together.last(), step) {
                (Some(Step::Set { dtr: None, rts }), Step::Set { dtr, rts: None }) => {
                    Some(Step::Set { dtr, rts: *rts })
                }
                (Some(Step::Set { dtr, rts: None }), Step::Set { dtr: None, rts }) => {
                    Some(Step::Set { dtr: *dtr, rts })
                }
                _ => None,
            };
            match joined {
                Some(joined) => *together.last_mut().expect("it was joined to one") = joined,
                None => together.push(step),
            }
        }
        together
    }
}

impl FromStr for Sequence {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, SequenceError> {
        let mut steps = Vec::new();
        let mut at = 1;
        for piece in text.split('|') {
            let step = piece.trim();
            if !step.is_empty() {
                let position = at + piece.chars().take_while(|c| c.is_whitespace()).count();
                let wrong = || SequenceError::Step { position, step: step.to_owned() };
                steps.push(parse(step).ok_or_else(wrong)?);
            }
            at += piece.chars().count() + 1;
        }
        match steps.is_empty() {
            true => Err(SequenceError::Empty),
            false => Ok(Self(Self::together(steps.into_iter()))),
        }
    }
}

fn parse(step: &str) -> Option<Step> {
    let mut characters = step.chars();
    let command = characters.next()?.to_ascii_uppercase();
    let value = characters.as_str();
    Some(match command {
        'D' => Step::Set { dtr: Some(bit(value)?), rts: None },
        'R' => Step::Set { dtr: None, rts: Some(bit(value)?) },
        'U' => {
            let (dtr, rts) = value.split_once(',')?;
            Step::Set { dtr: Some(bit(dtr.trim())?), rts: Some(bit(rts.trim())?) }
        }
        'W' => {
            let time = Duration::try_from_secs_f64(value.trim().parse().ok()?).ok()?;
            Step::Wait(Some(time).filter(|time| *time <= LONGEST_WAIT)?)
        }
        _ => return None,
    })
}

fn bit(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn sequence(text: &str) -> Sequence {
        text.parse().expect("a sequence")
    }

    #[test]
    fn esptools_own_example_is_the_classic_one() {
        assert_eq!(sequence("D0|R1|W0.1|D1|R0|W0.05|D0"), {
            let mut classic = Sequence::classic();
            // Its end names one line only.
            *classic.0.last_mut().expect("steps") = Step::Set { dtr: Some(false), rts: None };
            classic
        });
        assert_eq!(sequence(" u0, 1 |W.1|| U1,0|w5e-2|U0,0|"), Sequence::classic());
    }

    #[test]
    fn lines_change_together_unless_one_changes_twice_or_a_wait_stands_between() {
        let set = |dtr, rts| Step::Set { dtr, rts };
        let on = Some(true);
        let off = Some(false);
        assert_eq!(sequence("R1|D0|R1").0, [set(off, on), set(None, on)]);
        assert_eq!(sequence("D1|D0|R1").0, [set(on, None), set(off, on)]);
        assert_eq!(
            sequence("D1|W0|R1").0,
            [set(on, None), Step::Wait(Duration::ZERO), set(None, on)]
        );
        assert_eq!(sequence("U1,1|D0").0, [set(on, on), set(off, None)]);
    }

    #[rstest]
    #[case::letter("D0|X1", 4, "X1")]
    #[case::two_digits("D10", 1, "D10")]
    #[case::space("D0| R2|W1", 5, "R2")]
    #[case::one_of_both("U1", 1, "U1")]
    #[case::word("D0|Wlong", 4, "Wlong")]
    #[case::backwards("D0|W-1", 4, "W-1")]
    #[case::for_ever("W60.5", 1, "W60.5")]
    #[case::no_number("D0|R1|Wnan", 7, "Wnan")]
    #[case::letters_of_several_bytes("D0|é|R1", 4, "é")]
    fn a_bad_step_is_named_with_its_place(
        #[case] text: &str,
        #[case] position: usize,
        #[case] step: &str,
    ) {
        let expected = SequenceError::Step { position, step: step.to_owned() };
        assert_eq!(text.parse::<Sequence>(), Err(expected));
    }

    #[rstest]
    fn a_sequence_has_steps(#[values("", "|", " | ")] text: &str) {
        assert_eq!(text.parse::<Sequence>(), Err(SequenceError::Empty));
    }
}
