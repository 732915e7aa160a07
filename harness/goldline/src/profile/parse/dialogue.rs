//! The section `console`.

use std::time::Duration;

use super::{Problems, values::Names};
use crate::profile::{
    ConsoleSpec, Exchange, LineEnd, Need, Paste, Quoting, ScrapedId,
    problem::Problem,
    raw::{At, RawConsole, RawDeviceId, RawExchange, RawPaste},
};

impl Problems {
    pub(super) fn console(
        &mut self,
        raw: RawConsole,
        scope: &Names<'_>,
        has_ca: bool,
    ) -> Option<ConsoleSpec> {
        let dialogues = [&raw.provision, &raw.wifi, &raw.status, &raw.factory_reset, &raw.off];
        for needs in dialogues.into_iter().flatten().filter_map(|line| line.needs.as_ref()) {
            if needs.get_ref() == "ca" && !has_ca {
                self.push(needs.span(), Problem::LineNeeds { section: "[ca]" });
            }
        }
        let line_ends = [("lf", LineEnd::Lf), ("cr", LineEnd::Cr), ("crlf", LineEnd::CrLf)];
        let line_end = self.one_of("line_end", &raw.line_end, &line_ends);
        let quotings = [
            ("verbatim", Quoting::Verbatim),
            ("unquoted", Quoting::Unquoted),
            ("when_needed", Quoting::WhenNeeded),
            ("always", Quoting::Always),
        ];
        let quoting = self.one_of("quoting", &raw.quoting, &quotings);
        if let Some(prompt) =
            raw.prompt.as_ref().filter(|prompt| prompt.get_ref().trim().is_empty())
        {
            self.push(prompt.span(), Problem::BlankPrompt);
        }
        let device_id = match &raw.device_id {
            Some(device_id) => Some(self.scraped_id(device_id, scope)?),
            None => None,
        };
        let provision = self.exchanges(&raw.provision, scope);
        let wifi = self.exchanges(&raw.wifi, scope);
        for dialogue in [&raw.provision, &raw.wifi, &raw.factory_reset, &raw.off] {
            for measure in dialogue.iter().filter_map(|line| line.measure.as_ref()) {
                self.push(measure.span(), Problem::MeasuredElsewhere);
            }
        }
        let status = self.exchanges(&raw.status, scope);
        let factory_reset = self.exchanges(&raw.factory_reset, scope);
        let off = self.exchanges(&raw.off, scope);
        Some(ConsoleSpec {
            line_end: line_end?,
            quoting: quoting?,
            prompt: raw.prompt.map(At::into_inner),
            retype: raw.retype.unwrap_or(true),
            device_id,
            provision,
            wifi,
            status,
            factory_reset,
            off,
        })
    }

    fn scraped_id(&mut self, raw: &RawDeviceId, scope: &Names<'_>) -> Option<ScrapedId> {
        let expected = self.template(&raw.expected, scope);
        let within = self.deadline(&raw.within_s);
        let pattern = self.pattern_of_one_group(&raw.pattern);
        Some(ScrapedId { pattern: pattern?, expected: expected?, within })
    }

    fn exchanges(&mut self, raw: &[RawExchange], scope: &Names<'_>) -> Vec<Exchange> {
        raw.iter().filter_map(|exchange| self.exchange(exchange, scope)).collect()
    }

    fn exchange(&mut self, raw: &RawExchange, scope: &Names<'_>) -> Option<Exchange> {
        let send = self.template(&raw.send, scope);
        let paste = raw.paste.as_ref().map(|raw| self.paste(raw, scope));
        let paste = paste.map_or(Some(None), |paste| paste.map(Some));
        let texts = raw.expect.get_ref();
        if texts.is_empty() || texts.iter().any(|text| text.get_ref().is_empty()) {
            self.push(raw.expect.span(), Problem::NothingExpected);
        }
        let expect = texts.iter().filter_map(|text| self.template(text, scope)).collect();
        let refuse = raw.refuse.iter().map(|text| text.get_ref().clone()).collect();
        let within: Duration = self.deadline(&raw.within_s);
        let known = [("wifi", Need::Wifi), ("broker", Need::Broker), ("ca", Need::Ca)];
        let needs = raw.needs.as_ref().map(|needs| self.one_of("needs", needs, &known));
        let needs = needs.map_or(Some(None), |known| known.map(Some));
        let measure = raw.measure.as_ref().and_then(|raw| self.console_measure(raw.get_ref()));
        Some(Exchange {
            send: send?,
            paste: paste?,
            expect,
            refuse,
            within,
            restarts: raw.restarts,
            measure,
            needs: needs?,
        })
    }

    fn paste(&mut self, raw: &RawPaste, scope: &Names<'_>) -> Option<Paste> {
        if raw.when.get_ref().trim().is_empty() {
            self.push(raw.when.span(), Problem::NothingExpected);
        }
        let text = self.template(&raw.text, scope)?;
        Some(Paste { when: raw.when.get_ref().clone(), text })
    }
}
