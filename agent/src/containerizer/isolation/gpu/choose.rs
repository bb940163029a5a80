//! Which devices a container gets: those that are near to one another, and whose loss hurts the others least.

use std::cmp::Reverse;

/// Most combinations that are all looked at; beyond, one device after the other is taken. Ours: 16 GPUs, 8 wanted.
const MAX_COMBINATIONS: u64 = 13_000;

/// What a choice is measured by, in this order: what those of the container are worth to one another; what those that stay
/// free are; the devices of lower places.
type Measure = (u64, u64, Reverse<Vec<usize>>);

/// Of the free devices so many as are wanted, for a container that holds some already; all named by their places in the
/// matrix of what each two are worth together. `None`: there are not so many. The same question has the same answer.
pub(super) fn choose(
    worth: &[Vec<u32>],
    held: &[usize],
    free: &[usize],
    wanted: usize,
) -> Option<Vec<usize>> {
    let mut free = free.to_vec();
    free.sort_unstable();
    if wanted >= free.len() {
        return (wanted == free.len()).then_some(free);
    }
    match combinations(free.len(), wanted) <= MAX_COMBINATIONS {
        true => best_of_all(worth, held, &free, wanted),
        false => one_by_one(worth, held, &free, wanted),
    }
}

fn measure(worth: &[Vec<u32>], held: &[usize], free: &[usize], chosen: Vec<usize>) -> Measure {
    let own: Vec<usize> = held.iter().chain(&chosen).copied().collect();
    let rest: Vec<usize> = free.iter().filter(|place| !chosen.contains(place)).copied().collect();
    (together(worth, &own), together(worth, &rest), Reverse(chosen))
}

/// What a group is worth: the sum over its pairs.
fn together(worth: &[Vec<u32>], group: &[usize]) -> u64 {
    let pairs = group.iter().enumerate().flat_map(|(at, a)| group[at + 1..].iter().map(move |b| (*a, *b)));
    pairs.map(|(a, b)| u64::from(worth[a][b])).sum()
}

fn best_of_all(worth: &[Vec<u32>], held: &[usize], free: &[usize], wanted: usize) -> Option<Vec<usize>> {
    let mut at: Vec<usize> = (0..wanted).collect();
    let mut best: Option<Measure> = None;
    loop {
        let chosen = at.iter().map(|at| free[*at]).collect();
        let one = measure(worth, held, free, chosen);
        best = best.max(Some(one));
        // The next combination: the last place that can move on does, those behind it follow.
        let Some(moving) = (0..wanted).rev().find(|place| at[*place] < free.len() - wanted + place) else {
            return best.map(|(_, _, Reverse(chosen))| chosen);
        };
        at[moving] += 1;
        for place in moving + 1..wanted {
            at[place] = at[place - 1] + 1;
        }
    }
}

/// From each device on: the nearest of what is left, again and again; the best of these.
fn one_by_one(worth: &[Vec<u32>], held: &[usize], free: &[usize], wanted: usize) -> Option<Vec<usize>> {
    let from = |first: usize| {
        let mut chosen = vec![first];
        while chosen.len() < wanted {
            let gain = |place: usize| -> u64 {
                held.iter().chain(&chosen).map(|own| u64::from(worth[*own][place])).sum()
            };
            let left = free.iter().filter(|place| !chosen.contains(place));
            let next = left.max_by_key(|place| (gain(**place), Reverse(**place)))?;
            chosen.push(*next);
        }
        chosen.sort_unstable();
        Some(measure(worth, held, free, chosen))
    };
    let best = free.iter().filter_map(|first| from(*first)).max()?;
    Some(best.2.0)
}

/// How many ways there are to take so many of so many, or more than are looked at.
fn combinations(of: usize, wanted: usize) -> u64 {
    let mut count: u64 = 1;
    for step in 0..wanted.min(of - wanted) as u64 {
        count = count.saturating_mul(of as u64 - step) / (step + 1);
        if count > MAX_COMBINATIONS {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight GPUs: four pairs with links of their own, two pairs at each of two CPUs.
    fn machine() -> Vec<Vec<u32>> {
        let worth = |a: usize, b: usize| match (a / 2 == b / 2, a / 4 == b / 4) {
            (true, _) => 250,
            (false, true) => 30,
            (false, false) => 10,
        };
        (0..8).map(|a| (0..8).map(|b| worth(a, b)).collect()).collect()
    }

    #[test]
    fn near_ones_are_taken_together() {
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(choose(&machine(), &[], &all, 2), Some(vec![0, 1]));
        assert_eq!(choose(&machine(), &[], &all, 4), Some(vec![0, 1, 2, 3]));
        assert_eq!(choose(&machine(), &[], &[1, 2, 4, 5, 7], 2), Some(vec![4, 5]));
        assert_eq!(choose(&machine(), &[], &[1, 2, 5, 6, 7], 3), Some(vec![5, 6, 7]));
    }

    #[test]
    fn one_alone_breaks_no_pair() {
        assert_eq!(choose(&machine(), &[], &[0, 1, 3, 4, 5], 1), Some(vec![3]));
        assert_eq!(choose(&machine(), &[], &[0, 1, 2, 3], 1), Some(vec![0]));
    }

    #[test]
    fn more_for_a_container_is_near_to_what_it_holds() {
        assert_eq!(choose(&machine(), &[6], &[0, 1, 2, 7], 1), Some(vec![7]));
        assert_eq!(choose(&machine(), &[5], &[0, 1, 6], 1), Some(vec![6]));
    }

    #[test]
    fn there_may_be_too_few() {
        assert_eq!(choose(&machine(), &[], &[3], 2), None);
        assert_eq!(choose(&machine(), &[], &[3, 1], 2), Some(vec![1, 3]));
        assert_eq!(choose(&machine(), &[], &[3], 0), Some(vec![]));
        assert_eq!(choose(&[], &[], &[], 0), Some(vec![]));
    }

    #[test]
    fn many_devices_take_no_time() {
        let worth: Vec<Vec<u32>> =
            (0..56).map(|a| (0..56).map(|b| if a / 7 == b / 7 { 60 } else { 10 }).collect()).collect();
        let all: Vec<usize> = (0..56).collect();
        assert_eq!(choose(&worth, &[], &all, 7), Some((0..7).collect()));
        assert_eq!(combinations(16, 8), 12_870);
        assert!(combinations(1000, 500) > MAX_COMBINATIONS);
    }
}
