//! Groups of a directory, in memory.

use super::{Memory, conflict, done, page};
use crate::oauth::ports::TextPage;
use crate::oauth::scim::{DirectoryGroup, DirectoryGroups};
use crate::ports::Answer;
use base::Event;

impl DirectoryGroups for Memory {
    fn create_directory_group(&self, group: DirectoryGroup, event: Event) -> Answer<'_, ()> {
        let mut state = self.state();
        if state.directory.contains_key(&group.name) {
            return conflict();
        }
        state.directory.insert(group.name.clone(), group);
        state.note(event);
        done(())
    }

    fn replace_directory_group(
        &self,
        before: DirectoryGroup,
        after: Option<DirectoryGroup>,
        event: Event,
    ) -> Answer<'_, bool> {
        let mut state = self.state();
        if state.directory.get(&before.name) != Some(&before) {
            return done(false);
        }
        match after {
            Some(after) => state.directory.insert(before.name, after),
            None => state.directory.remove(&before.name),
        };
        state.note(event);
        done(true)
    }

    fn directory_group(&self, name: String) -> Answer<'_, Option<DirectoryGroup>> {
        done(self.state().directory.get(&name).cloned())
    }

    fn directory_groups(&self, wanted: TextPage) -> Answer<'_, Vec<DirectoryGroup>> {
        done(page(&self.state().directory, &wanted))
    }
}
