//! The Merkle tree of RFC 6962, growing at its right edge, cut into the tiles of C2SP tlog-tiles.
//!
//! INVARIANT: `peaks` are the roots of the complete subtrees that the size's binary digits name, largest
//! first; `edge[l]` holds the last `(size >> 8l) & 255` roots of complete subtrees of `256^l` leaves. Each can
//! be computed from the other's tree; both are kept because each push needs both.

use crate::hash::{Hash, node, sha256};

/// Hashes in a full tile (C2SP tlog-tiles: tiles have height 8).
pub(crate) const TILE_WIDTH: usize = 256;

/// Levels of tiles at most: 8 levels hold 2⁶⁴ leaves.
const LEVELS: usize = 8;

/// Leaves of a tree at most. A node that records a million events a second needs 36,000 years for them; a size
/// beyond is a lie that no count on may overflow.
const LEAVES: u64 = 1 << 60;

/// A tile to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) level: usize,
    pub(crate) index: u64,
    /// 1 to 256 hashes.
    pub(crate) hashes: Vec<Hash>,
}

impl Tile {
    /// Its path below the ledger's folder, in the spelling of C2SP tlog-tiles: `tile/0/x001/x234/067`, with
    /// `.p/W` behind a partial one.
    pub(crate) fn path(&self) -> String {
        let (mut rest, mut groups) = (self.index / 1000, format!("{:03}", self.index % 1000));
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % 1000);
            rest /= 1000;
        }
        if self.hashes.len() == TILE_WIDTH {
            format!("tile/{}/{groups}", self.level)
        } else {
            format!("tile/{}/{groups}.p/{}", self.level, self.hashes.len())
        }
    }

    /// Its content: the hashes one after another.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// How many leaves the tree has once the tile can be written.
    pub(crate) fn complete_at(&self) -> u64 {
        let entries = self.index.saturating_mul(256).saturating_add(self.hashes.len() as u64);
        entries.checked_shl(8 * u32::try_from(self.level).unwrap_or(8)).unwrap_or(u64::MAX)
    }
}

/// The tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    peaks: Vec<(u32, Hash)>,
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of `size` leaves with this right edge, or nothing when they do not fit together.
    pub(crate) fn from_edge(size: u64, edge: Vec<Vec<Hash>>) -> Option<Self> {
        if size > LEAVES {
            return None;
        }
        let mut peaks = Vec::new();
        let mut full = 0u64;
        for level in (0..LEVELS).rev() {
            let entries = edge.get(level).map_or(&[][..], Vec::as_slice);
            let expect = (size >> (8 * level)) & 0xff;
            if entries.len() as u64 != expect {
                return None;
            }
            full = full.checked_add(expect << (8 * level))?;
            let mut rest = entries;
            for bit in (0..8u32).rev().filter(|bit| expect >> bit & 1 == 1) {
                let (these, others) = rest.split_at_checked(1 << bit)?;
                peaks.push((8 * u32::try_from(level).ok()? + bit, subtree(these)?));
                rest = others;
            }
        }
        let mut edge = edge;
        while edge.last().is_some_and(Vec::is_empty) {
            edge.pop();
        }
        (full == size && edge.len() <= LEVELS).then_some(Self { size, peaks, edge })
    }

    /// How many leaves it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The right edge, by level of tiles.
    pub(crate) fn edge(&self) -> &[Vec<Hash>] {
        &self.edge
    }

    /// The tree's root. RFC 6962 §2.1: of an empty tree `SHA-256()`.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some((_, last)) = peaks.next() else { return sha256(&[]) };
        peaks.fold(*last, |right, (_, left)| node(left, &right))
    }

    /// Adds a leaf by its hash; tiles that it completes go to `tiles`.
    pub(crate) fn push(&mut self, leaf: Hash, tiles: &mut Vec<Tile>) {
        self.size += 1;
        self.extend_edge(0, leaf, tiles);
        let (mut hash, mut height) = (leaf, 0u32);
        while let Some((_, left)) = self.peaks.pop_if(|(of, _)| *of == height) {
            hash = node(&left, &hash);
            height += 1;
            if height.is_multiple_of(8) {
                self.extend_edge(height as usize / 8, hash, tiles);
            }
        }
        self.peaks.push((height, hash));
    }

    /// The tiles that are not full, as they are now.
    pub(crate) fn partial_tiles(&self) -> Vec<Tile> {
        let levels = self.edge.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        levels
            .map(|(level, hashes)| {
                let index = self.size.checked_shr(8 * (level as u32 + 1)).unwrap_or(0);
                Tile { level, index, hashes: hashes.clone() }
            })
            .collect()
    }

    fn extend_edge(&mut self, level: usize, hash: Hash, tiles: &mut Vec<Tile>) {
        while self.edge.len() <= level {
            self.edge.push(Vec::with_capacity(TILE_WIDTH));
        }
        let Some(hashes) = self.edge.get_mut(level) else { return };
        hashes.push(hash);
        if hashes.len() == TILE_WIDTH {
            let index =
                (self.size.checked_shr(8 * (level as u32 + 1)).unwrap_or(0)).saturating_sub(1);
            let hashes = std::mem::replace(hashes, Vec::with_capacity(TILE_WIDTH));
            tiles.push(Tile { level, index, hashes });
        }
    }
}

/// The root over a power of two of hashes.
fn subtree(hashes: &[Hash]) -> Option<Hash> {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)).collect();
    }
    row.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1 as it is written, over leaf hashes.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(&naive(&many[..split]), &naive(&many[split..]))
            }
        }
    }

    #[test]
    fn rfc6962_s2_1_root_is_that_of_the_definition() {
        let (mut tree, mut leaves, mut tiles) = (Tree::default(), Vec::new(), Vec::new());
        assert_eq!(tree.root(), naive(&[]));
        for n in 0..700u32 {
            let leaf = sha256(&n.to_be_bytes());
            leaves.push(leaf);
            tree.push(leaf, &mut tiles);
            if n < 40 || n % 37 == 0 {
                assert_eq!(tree.root(), naive(&leaves), "at {n}");
                let again = Tree::from_edge(tree.size(), tree.edge().to_vec()).unwrap();
                assert_eq!(again, tree, "at {n}");
            }
        }
        assert_eq!(tiles.len(), 2);
        assert_eq!(tiles[1].hashes, leaves[256..512]);
        assert_eq!((tiles[1].path().as_str(), tiles[1].complete_at()), ("tile/0/001", 512));
    }

    #[test]
    fn upper_tiles_hold_the_roots_of_lower_ones() {
        let (mut tree, mut tiles) = (Tree::default(), Vec::new());
        for n in 0..65_536u32 {
            tree.push(sha256(&n.to_be_bytes()), &mut tiles);
        }
        let upper = tiles.last().unwrap();
        assert_eq!((upper.level, upper.index, upper.complete_at()), (1, 0, 65_536));
        assert_eq!(upper.hashes[0], naive(&tiles[0].hashes));
        assert_eq!(tree.edge().len(), 3);
        assert_eq!(Tree::from_edge(65_536, tree.edge().to_vec()).unwrap().root(), tree.root());
    }

    #[test]
    fn tile_paths_follow_c2sp() {
        let mut tile = Tile { level: 0, index: 1_234_067, hashes: vec![[0; 32]; 256] };
        assert_eq!(tile.path(), "tile/0/x001/x234/067");
        tile.hashes.truncate(7);
        assert_eq!(tile.path(), "tile/0/x001/x234/067.p/7");
    }

    #[test]
    fn an_edge_that_does_not_fit_is_refused() {
        assert_eq!(Tree::from_edge(3, vec![vec![[0; 32]; 2]]), None);
        assert_eq!(Tree::from_edge(0, vec![vec![[0; 32]; 256]]), None);
    }

    #[test]
    fn a_size_that_counting_on_could_overflow_is_refused() {
        assert_eq!(Tree::from_edge(u64::MAX, vec![vec![[0; 32]; 255]; 8]), None);
        assert_eq!(Tree::from_edge(LEAVES + 1, edge_of(LEAVES + 1)), None);
        let mut tree = Tree::from_edge(LEAVES, edge_of(LEAVES)).unwrap();
        tree.push([1; 32], &mut Vec::new());
        assert_eq!(tree.size(), LEAVES + 1);
    }

    fn edge_of(size: u64) -> Vec<Vec<Hash>> {
        size.to_le_bytes().map(|count| vec![[0; 32]; count.into()]).to_vec()
    }
}
