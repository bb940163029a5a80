//! One agent as the allocator sees it.

use std::borrow::Cow;

use protocol::{AgentId, Resources, Role};

use super::filters::Filters;
use super::vector::{Names, Vector};

/// An agent: what it has, who has how much of it, and what is left.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) id: AgentId,
    pub(super) active: bool,
    pub(super) total: Resources,
    pub(super) total_vector: Vector,
    /// Whether the total has GPUs.
    pub(super) gpus: bool,
    /// Total less allocations; of what is over-committed, nothing.
    pub(super) free: Resources,
    /// What of [`Agent::free`] counts in shares.
    pub(super) free_vector: Vector,
    /// Whether anything free is reserved.
    pub(super) reserved: bool,
    /// Whether total is exactly what is free and allocated. Not so when tasks came back that, together, use more
    /// than the agent now has.
    pub(super) exact: bool,
    /// In order of framework and role.
    pub(super) allocations: Vec<Allocation>,
    pub(super) filters: Filters,
}

/// What a framework has for a role; never nothing.
#[derive(Clone, Debug)]
pub(super) struct Allocation {
    pub(super) framework: u32,
    pub(super) role: u32,
    pub(super) resources: Resources,
}

impl Agent {
    /// An agent with nothing allocated.
    pub(super) fn new(id: AgentId, total: Resources, names: &Names) -> Self {
        let mut agent = Self {
            id,
            active: true,
            total_vector: Vector::default(),
            gpus: false,
            total: Resources::new(),
            free: Resources::new(),
            free_vector: Vector::default(),
            reserved: false,
            exact: true,
            allocations: Vec::new(),
            filters: Filters::default(),
        };
        agent.set_total(total, names);
        agent
    }

    /// Has another total now.
    pub(super) fn set_total(&mut self, total: Resources, names: &Names) {
        self.total_vector = names.vector(&total);
        self.gpus = total.gpus().millis() > 0;
        self.total = total;
        self.recount(names);
    }

    /// Works out anew what is free.
    pub(super) fn recount(&mut self, names: &Names) {
        let mut free = self.total.clone();
        self.exact = true;
        for allocation in &self.allocations {
            self.exact &= free.contains(&allocation.resources);
            free -= &allocation.resources;
        }
        self.free = free;
        self.free_changed(names);
    }

    fn free_changed(&mut self, names: &Names) {
        self.free_vector = names.vector(&self.free);
        self.reserved = self.free.iter().any(|resource| !resource.reservations.is_empty());
    }

    /// What may be offered for a role.
    pub(super) fn offerable(&self, role: &Role) -> Cow<'_, Resources> {
        match self.reserved {
            true => Cow::Owned(self.free.allocatable_to(role)),
            false => Cow::Borrowed(&self.free),
        }
    }

    /// Gives a role all that may be offered to it. Says what that is, and what of it counts in shares.
    pub(super) fn take(
        &mut self,
        framework: u32,
        role: u32,
        name: &Role,
        names: &Names,
    ) -> (Resources, Vector) {
        let (taken, vector) = if self.reserved {
            let taken = self.free.allocatable_to(name);
            self.free -= &taken;
            self.free_changed(names);
            let vector = names.vector(&taken);
            (taken, vector)
        } else {
            (std::mem::take(&mut self.free), std::mem::take(&mut self.free_vector))
        };
        match self.position(framework, role) {
            Ok(at) => self.allocations[at].resources += &taken,
            Err(at) => {
                self.allocations.insert(at, Allocation { framework, role, resources: taken.clone() });
            }
        }
        (taken, vector)
    }

    /// What a framework has for a role.
    pub(super) fn allocation(&self, framework: u32, role: u32) -> Option<&Resources> {
        Some(&self.allocations[self.position(framework, role).ok()?].resources)
    }

    /// A framework has this for a role, in place of what it had.
    pub(super) fn set_allocation(&mut self, framework: u32, role: u32, resources: Resources, names: &Names) {
        let at = self.position(framework, role);
        match at {
            Ok(at) if resources.is_empty() => {
                self.allocations.remove(at);
            }
            Ok(at) => self.allocations[at].resources = resources,
            Err(_) if resources.is_empty() => return,
            Err(at) => self.allocations.insert(at, Allocation { framework, role, resources }),
        }
        self.recount(names);
    }

    /// A framework gives back something of what it has for a role. Says what of it counts in shares, and whether
    /// it still has anything; `None`, and nothing changes, where the books must be made anew.
    pub(super) fn give_back(
        &mut self,
        framework: u32,
        role: u32,
        resources: &Resources,
        names: &Names,
    ) -> Option<(Vector, bool)> {
        let at = self.position(framework, role).ok()?;
        if !self.exact || !self.allocations[at].resources.contains(resources) {
            return None;
        }
        let left = if self.allocations[at].resources == *resources {
            self.allocations.remove(at);
            false
        } else {
            self.allocations[at].resources -= resources;
            true
        };
        let vector = names.vector(resources);
        if self.free.is_empty() {
            self.free = resources.clone();
        } else {
            self.free += resources;
        }
        self.free_changed(names);
        Some((vector, left))
    }

    fn position(&self, framework: u32, role: u32) -> Result<usize, usize> {
        self.allocations.binary_search_by_key(&(framework, role), |one| (one.framework, one.role))
    }
}
