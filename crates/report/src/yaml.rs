//! YAML: the values of the JSON contract under the same names.

use healthcore::report::Report;

use crate::{JsonReport, RenderError, RenderOptions, escape};

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    let text = serde_saphyr::to_string(&JsonReport::new(report, options))
        .map_err(|e| RenderError::Data { format: "yaml", why: e.to_string() })?;
    Ok(escape::json(text))
}
