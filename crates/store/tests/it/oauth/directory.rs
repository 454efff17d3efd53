//! Groups of a directory.

use super::{at, event};
use crate::both_engines;
use crate::rig::{Rig, START};
use authority::PortError;
use authority::oauth::ports::TextPage;
use authority::oauth::scim::{DirectoryGroup, DirectoryGroups as _};
use base::code;

both_engines!(a_group_is_made_once_replaced_as_it_was_seen_and_removed);

fn group(name: &str) -> DirectoryGroup {
    DirectoryGroup {
        name: name.to_owned(),
        display: "Verk\u{e4}ufer".to_owned(),
        external_id: Some("7".to_owned()),
        created_at: START,
        created_by: "directory".to_owned(),
        updated_at: START,
    }
}

async fn a_group_is_made_once_replaced_as_it_was_seen_and_removed(rig: Rig) {
    let store = &rig.store;
    let event = || event(code::USER_CHANGED, 0);
    let sales = group("sales");
    store.create_directory_group(sales.clone(), event()).await.unwrap();
    let again = store.create_directory_group(sales.clone(), event()).await;
    assert_eq!(again, Err(PortError::Conflict));
    assert_eq!(store.directory_group("sales".to_owned()).await.unwrap(), Some(sales.clone()));
    for nobody in ["Sales", "", "a\0b"] {
        assert_eq!(store.directory_group(nobody.to_owned()).await.unwrap(), None, "{nobody:?}");
    }
    store.create_directory_group(group("ops"), event()).await.unwrap();
    let page = TextPage { after: "ops".to_owned(), rows: 10 };
    assert_eq!(store.directory_groups(page).await.unwrap(), std::slice::from_ref(&sales));
    let after = DirectoryGroup { updated_at: at(1), ..sales.clone() };
    let replace = async |before: &DirectoryGroup, after: Option<DirectoryGroup>| {
        store.replace_directory_group(before.clone(), after, event()).await.unwrap()
    };
    assert!(replace(&sales, Some(after.clone())).await);
    assert!(!replace(&sales, Some(sales.clone())).await, "it is not as it was seen");
    assert!(!replace(&sales, None).await);
    assert!(replace(&after, None).await);
    assert!(!replace(&after, None).await);
    assert_eq!(store.directory_group("sales".to_owned()).await.unwrap(), None);
}
