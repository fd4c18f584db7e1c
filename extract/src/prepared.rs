//! All that is decided before the first byte is written.

use std::path::PathBuf;
use std::time::Instant;

use chunk_index::Entry;

use crate::demand::{self, Demand};
use crate::job::{ExtractError, Job, Notice, Phases, WayCost};
use crate::opened::Opened;
use crate::patched::Staging;
use crate::places::Places;
use crate::plan::{Held, Plan, Totals};
use crate::recipe::{Fetched, Recipe};
use crate::seed::Seed;
use crate::survey::{Known, Looked, OpenIndex, Survey, blocks_of};
use crate::verified::Check;
use crate::work;

/// Everything that is known before the first byte is written.
pub(crate) struct Prepared {
    pub(crate) recipe: Recipe,
    pub(crate) check: Check,
    pub(crate) plan: Plan,
    pub(crate) seeds: Vec<Seed>,
    pub(crate) object: String,
    pub(crate) journal: Option<PathBuf>,
    /// The number of the seed that an earlier run's journal is.
    pub(crate) journal_seed: Option<u16>,
    /// Whether old bytes of the target are moved.
    pub(crate) in_place: bool,
    /// What is put aside before anything is written.
    pub(crate) staging: Option<Staging>,
    /// Whether that is the last of the seeds now.
    pub(crate) is_staged: bool,
    /// Bytes of patches that were fetched in vain.
    pub(crate) late: u64,
    /// The ways by patches that start from seeds.
    pub(crate) ways: Vec<WayCost>,
    /// Bytes that a file has behind the image.
    pub(crate) surplus: u64,
    pub(crate) memory: u64,
    pub(crate) demand: Demand,
    pub(crate) phases: Phases,
}

impl Prepared {
    fn nothing_to_do(survey: Survey, index: OpenIndex, threads: usize) -> Self {
        let recipe = match index {
            OpenIndex::Whole(recipe) => *recipe,
            OpenIndex::Front(front, _) => Recipe::without_chunks(*front),
        };
        let (blocks, image) = (recipe.blocks(), recipe.record().image_len());
        let plan = Plan { totals: Totals { image, kept: image, ..Totals::default() }, ..Plan::default() };
        let check = Check::new(blocks, Vec::new());
        let known = recipe.memory() as u64 + survey.memory;
        let demand = Demand { memory: demand::for_looking(known, threads), ..Demand::default() };
        let surplus = survey.surplus(image);
        let seeds = survey.parts.into_iter().map(|part| part.seed).collect();
        let (object, journal, phases) = (String::new(), survey.journal, survey.phases);
        let (journal_seed, in_place, late, memory) = (None, false, 0, 0);
        Self {
            recipe,
            check,
            plan,
            seeds,
            object,
            journal,
            journal_seed,
            in_place,
            staging: None,
            is_staged: false,
            late,
            ways: Vec::new(),
            surplus,
            memory,
            demand,
            phases,
        }
    }
}

impl Job<'_> {
    /// Plans for a target, puts aside what has to be, and makes sure that there is room.
    pub(crate) fn prepare_for(&self, looked: Looked, opened: &Opened) -> Result<Prepared, ExtractError> {
        let mut prepared = self.prepare(looked)?;
        // Until that is done, not even the length of the target changes: it is what patches start from.
        if let Some(staging) = prepared.staging.take() {
            let old = prepared.seeds.last().expect("the target is the last seed");
            match self.put_aside(staging, old, &mut prepared.late)? {
                Ok(staged) => {
                    prepared.seeds.push(staged);
                    prepared.is_staged = true;
                }
                Err(without) => {
                    prepared.plan = without;
                    self.expect_allowed(&prepared.plan.totals, prepared.recipe.fetched(), prepared.late)?;
                }
            }
        }
        let totals = &prepared.plan.totals;
        opened.make_room(totals.write - totals.zero)?;
        Ok(prepared)
    }

    /// Finds out what the seeds hold, and plans.
    pub(crate) fn prepare(&self, looked: Looked) -> Result<Prepared, ExtractError> {
        match looked {
            Looked::Right(survey, index) => Ok(Prepared::nothing_to_do(survey, index, self.options.threads)),
            Looked::Wrong(survey, index) => self.conclude(self.survey(survey, index)?),
        }
    }

    /// Refuses to download more than is allowed.
    fn expect_allowed(&self, totals: &Totals, index: Fetched, late: u64) -> Result<(), ExtractError> {
        let needed = totals.received() + index.bytes + late;
        match self.options.max_download {
            Some(allowed) if needed > allowed => Err(ExtractError::TooMuch { needed, allowed }),
            _ => Ok(()),
        }
    }

    fn conclude(&self, known: Known) -> Result<Prepared, ExtractError> {
        let started = Instant::now();
        let Known { mut survey, mut recipe, object, mut places } = known;
        let said = recipe.said()?;
        let kept = survey.kept(&said);
        let own = survey.own;
        recipe.fetch_maps(self.source, &object, |leaf, list| {
            let is_missing = blocks_of(&leaf.image()).any(|number| !kept[number]);
            let is_elsewhere = |entry: &Entry| {
                entry.short.is_zero() || places.find(entry).is_some_and(|place| place.seed != own)
            };
            is_missing && !list.entries().iter().all(is_elsewhere)
        })?;
        let check = Check::new(recipe.blocks(), said);
        let own_seed = survey.own_seed();
        let rereads = survey.rereads;
        // Once, so that plans can be compared.
        let speed = self.source.speed();
        let plan = |places: &Places| {
            let held = Held { places, own: own_seed.is_some().then_some(own), kept: &kept, rereads };
            let mut plan = Plan::new(&recipe, &check, &held, &self.options.limits, speed);
            plan.totals.cached = work::kept(&plan, &recipe, self.source);
            plan
        };
        let by_frames = plan(&places);
        let (plan, staging) = self.plan_staging(&mut survey, &recipe, &mut places, by_frames, &plan)?;
        recipe.add_fetched(staging.as_ref().map(Staging::mend_index).unwrap_or_default());
        self.expect_allowed(&plan.totals, recipe.fetched(), survey.late)?;
        self.observer.notice(&Notice::Planned(&plan.totals));
        let memory = (recipe.memory() + places.memory() + plan.memory()) as u64;
        let known = memory + check.memory() as u64;
        // A plan may be made twice.
        let planning = demand::for_looking(known + plan.memory() as u64, 0);
        let looking = demand::for_looking(survey.memory + recipe.memory() as u64, self.options.threads);
        let most = demand::for_work(&plan, known, &self.options).max(planning).max(looking);
        let staging_most =
            staging.as_ref().map(|staging| known + staging.most_memory(self.options.limits.longest));
        let most = most.max(staging_most.unwrap_or(0));
        let moves = plan.totals.seeds.get(usize::from(own)).is_some_and(|bytes| *bytes > 0);
        let in_place = own_seed.is_some() && moves;
        let demand = self.demand_of(most, &survey, recipe.head(), &plan.totals, in_place);
        let parts = std::mem::take(&mut survey.parts);
        let seeds = parts.into_iter().map(|part| part.seed).chain(own_seed).collect();
        survey.phases.plan = started.elapsed();
        let surplus = survey.surplus(recipe.record().image_len());
        let Survey { journal, journal_seed, late, ways, phases, .. } = survey;
        Ok(Prepared {
            recipe,
            check,
            plan,
            seeds,
            object,
            journal,
            journal_seed,
            in_place,
            staging,
            is_staged: false,
            late,
            ways,
            surplus,
            memory,
            demand,
            phases,
        })
    }
}
