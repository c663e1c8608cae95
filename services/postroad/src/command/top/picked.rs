//! Which row of a list is picked: the same one while the list changes around it.

/// A place in a list, by the key of its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    at: usize,
    key: Option<String>,
}

impl Picked {
    /// Where it is.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Back to the first row.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The list is another one now: its row is looked for; if it is gone, the place stays.
    pub fn settle(&mut self, keys: &[String]) {
        let again = self.key.as_ref().and_then(|key| keys.iter().position(|one| one == key));
        self.at = again.unwrap_or(self.at).min(keys.len().saturating_sub(1));
        // The first row is no choice: what comes to the top is looked at.
        self.key = if self.at == 0 { None } else { keys.get(self.at).cloned() };
    }

    /// Goes so many rows down, or up.
    pub fn go(&mut self, rows: isize, keys: &[String]) {
        self.at = self.at.saturating_add_signed(rows).min(keys.len().saturating_sub(1));
        self.key = if self.at == 0 { None } else { keys.get(self.at).cloned() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_row_stays_picked_while_others_come_and_go() {
        let mut picked = Picked::default();
        picked.go(1, &keys(&["a", "b", "c"]));
        picked.settle(&keys(&["new", "a", "b", "c"]));
        assert_eq!(picked.at(), 2);
        picked.settle(&keys(&["a"]));
        assert_eq!(picked.at(), 0);
        picked.settle(&[]);
        assert_eq!(picked.at(), 0);
    }

    #[test]
    fn the_top_stays_the_top() {
        let mut picked = Picked::default();
        picked.settle(&keys(&["a"]));
        picked.settle(&keys(&["new", "a"]));
        assert_eq!(picked.at(), 0);
    }

    #[test]
    fn it_does_not_leave_the_list() {
        let mut picked = Picked::default();
        picked.go(-5, &keys(&["a", "b"]));
        assert_eq!(picked.at(), 0);
        picked.go(5, &keys(&["a", "b"]));
        assert_eq!(picked.at(), 1);
    }
}
