//! The flattener against its rules: examples, a slow reference, and laws on random events.

#[cfg(test)]
mod differential;
#[cfg(test)]
mod github;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod strategy;
