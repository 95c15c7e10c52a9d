//! The command lines of the benches.

/// Takes `--name N` and `--flag` off a command line and stores their values. The other words are
/// left.
pub fn parse(
    mut args: impl Iterator<Item = String>,
    usage: &str,
    numbers: &mut [(&str, &mut usize)],
    flags: &mut [(&str, &mut bool)],
) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        if let Some((name, number)) = numbers.iter_mut().find(|(name, _)| *name == arg) {
            let value = args.next().ok_or(format!("{name} needs a number"))?;
            **number = count(&value).map_err(|error| format!("{name}: {error}"))?;
        } else if let Some((_, flag)) = flags.iter_mut().find(|(name, _)| *name == arg) {
            **flag = true;
        } else if arg.starts_with('-') {
            return Err(usage.into());
        } else {
            words.push(arg);
        }
    }
    Ok(words)
}

pub fn count(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|&n| n > 0);
    n.ok_or_else(|| format!("a number above 0 was expected, not {text}"))
}
