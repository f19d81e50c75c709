//! Speed on the shapes that are not the default one.

use std::path::Path;

use benches::{Figure, Result, Stage, mb_per_s};
use generator::Shape;

use crate::{Args, bounds::Bounds, corpus, show::times};

/// The shapes whose events DuckDB can read too, and of how many default events one of each is measured: their sizes differ.
const SHAPES: [(Shape, usize); 3] = [(Shape::Wide, 10), (Shape::Deep, 5), (Shape::Sparse, 4)];

/// Ours on one thread beside DuckDB on one, in turns, shape after shape.
pub(crate) fn figures(args: &Args, bounds: &Bounds, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (shape, n_default) in SHAPES {
        let corpus = corpus(shape, args.events / n_default);
        let name = shape.name();
        let stage = Stage::write(&corpus, folder.join(name))?;
        let mut ours = stage.ours(1)?;
        let mut duckdb = args.duckdb(&stage)?;
        for _ in 0..args.rounds {
            ours.take_turn()?;
            if let Some(duckdb) = &mut duckdb {
                duckdb.take_turn()?;
            }
        }
        let bytes = mb_per_s(stage.json_bytes / ours.seconds());
        figures.push(Figure::told(&format!("the {name} shape"), bytes));
        let faster = "  times as fast as DuckDB";
        let bound = bounds.other_shapes;
        figures.push(match duckdb {
            Some(duckdb) => Figure::held(faster, bound, ours.times_as_fast_as(&duckdb), times),
            None => Figure::not_measured(faster, bound, times, "no DuckDB"),
        });
    }
    Ok(figures)
}
