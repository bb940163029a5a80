//! `meseta masters repair`: a work directory that can't be used any more begins anew, as one that the others fill.
//!
//! What is there is moved aside, never deleted. First the others let the old disk go, and learn that another one comes in its
//! place: else they would not want it.

use std::path::Path;
use std::time::Duration;

use libactor::Clock;
use master::disk;
use master::registry::MemberId;
use master::replication::{Identity, MasterRole, MembersRequest, Status};

use super::super::Failure;
use super::super::master::begin::new_disk;
use super::ask::{Masters, Until};
use crate::flags::Flags;
use crate::work_dir::WorkDir;

/// Does it, and says what was done and what is to be done next.
///
/// # Errors
/// It is not known which master it was, a master uses the directory, or the others do not agree. Then nothing is lost.
pub async fn repair(
    flags: &Flags,
    masters: &mut Masters,
    limit: Duration,
    note: fn(&str),
) -> Result<String, Failure> {
    let work_dir = Path::new(flags.needed("work_dir")?);
    let held = WorkDir::claim(work_dir, "master")?;
    let directory = disk::directory(held.path());
    let known = disk::identity(&directory);
    let id = which(flags, known.as_ref(), work_dir)?;
    let heard = masters.look().await?;
    if let Some(why) = heard.leaderless() {
        return Err(why.into());
    }
    let leader = heard.leader().ok_or("no master leads")?;
    let cluster = leader.cluster.ok_or("that cluster is not founded yet: try again")?;
    if let Some(other) = known.and_then(|identity| identity.cluster).filter(|other| *other != cluster) {
        let work_dir = work_dir.display();
        return Err(format!(
            "work directory {work_dir} belongs to cluster {other}, and --from-peer to cluster {cluster}: name a master of \
             the same cluster"
        )
        .into());
    }
    let (address, learns) = member(leader, id)?;
    if !learns {
        note(&format!("asking the others to let the old disk of master {id} go"));
        let replace = MembersRequest::Replace { old: id, new: id, address: address.clone() };
        masters.change(&replace, limit, Until::Begun, note).await?;
    }
    let kept = disk::repair(&directory, id, new_disk()?, cluster, &date(&Clock::real()))?;
    let kept = kept.map_or("there was nothing to keep".to_owned(), |kept| {
        format!("what was there is kept in {}", kept.display())
    });
    Ok(format!(
        "master {id} begins anew in {}; {kept}\nstart it now: it fetches everything from the others and then votes again, \
         as 'meseta masters' shows. Should it stay a learner, 'meseta masters add {id}={address}' lets it vote\n",
        directory.display()
    ))
}

fn which(flags: &Flags, known: Option<&Identity>, work_dir: &Path) -> Result<MemberId, Failure> {
    let given = flags.text("id").map(str::parse::<MemberId>).transpose();
    let given = given.map_err(|_| flags.refuse("id", "expected a whole number above zero"))?;
    let work_dir = work_dir.display();
    match (known.map(|identity| identity.id), given) {
        (Some(known), Some(given)) if known != given => {
            Err(flags.refuse("id", format!("work directory {work_dir} is master {known}'s")).into())
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Err(format!(
            "work directory {work_dir} does not say which master it is: give its number with --id"
        )
        .into()),
    }
}

/// Where the others look for it, and whether they have let its old disk go already.
fn member(leader: &Status, id: MemberId) -> Result<(String, bool), Failure> {
    match leader.masters.iter().find(|member| member.id == id) {
        Some(member) => Ok((member.address.clone(), member.role == MasterRole::Learner)),
        None => {
            let known: Vec<_> = leader.masters.iter().map(|member| member.id.to_string()).collect();
            Err(format!(
                "the cluster has no master {id} any more, but {}: start one with an empty --work_dir, another --id, and \
                 --join, and take it in with 'meseta masters add'",
                known.join(", ")
            )
            .into())
        }
    }
}

/// For the name of what is kept: `2026-11-21T10-00-00`, in UTC.
fn date(clock: &Clock) -> String {
    civil(clock.now().as_nanos() / 1_000_000_000)
}

/// Source: Howard Hinnant, `civil_from_days`.
fn civil(unix_seconds: u64) -> String {
    let (days, seconds) = (unix_seconds / 86_400 + 719_468, unix_seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00-00-00"),
            (951_782_399, "2000-02-28T23-59-59"),
            (951_782_400, "2000-02-29T00-00-00"),
            (1_795_255_445, "2026-11-21T10-04-05"),
            (4_107_542_400, "2100-03-01T00-00-00"),
        ] {
            assert_eq!(civil(seconds), expected);
        }
    }
}
