//! Go's `test/chan`: powser1 and powser2. Power series as goroutines that compute a term on demand.
//!
//! Without demand channels a series would compute ahead for ever: the goroutine of a product starts
//! another product for the rest. So a reader requests each term by a message, and gets it by
//! another. Dropping the series ends its goroutine, which drops the series that it is made from.
//! The method is that of M. D. McIlroy, *Squinting at power series* (1990).

use std::collections::VecDeque;
use std::fmt;

use go_runtime::channel::{Receiver, RecvTimeoutError, Sender, bounded, never};
use go_runtime::{go, select};

use go_tests::support::{NET, in_both};

// --- Exact numbers ---

/// A fraction in lowest terms, with a positive denominator.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Rational(i128, i128);

fn ratio(numerator: i128, denominator: i128) -> Rational {
    let (mut a, mut b) = (numerator.abs(), denominator.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let sign = denominator.signum();
    Rational(sign * numerator / a, sign * denominator / a)
}

const fn whole(n: i128) -> Rational {
    Rational(n, 1)
}

impl Rational {
    fn plus(self, other: Rational) -> Rational {
        ratio(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }

    fn times(self, other: Rational) -> Rational {
        ratio(self.0 * other.0, self.1 * other.1)
    }

    fn inverse(self) -> Rational {
        assert_ne!(self.0, 0, "0 has no inverse");
        ratio(self.1, self.0)
    }
}

impl fmt::Debug for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

// --- Series ---

/// The reader's end of a series. The goroutines of the series, and of all series that it is made
/// from, hold its `life`.
struct Series {
    demand: Sender<()>,
    terms: Receiver<Rational>,
    life: Sender<()>,
}

/// The other end of a series, for the goroutine that makes the terms.
struct Terms {
    demand: Receiver<()>,
    out: Sender<Rational>,
    _life: Sender<()>,
}

/// The reader has dropped the series.
struct Enough;

impl Terms {
    /// Waits until the reader requests the next term.
    fn wanted(&self) -> Result<(), Enough> {
        self.demand.recv().map_err(|_| Enough)
    }

    fn give(&self, term: Rational) -> Result<(), Enough> {
        self.out.send(term).map_err(|_| Enough)
    }
}

/// Makes the two ends of a series.
fn ends(life: &Sender<()>) -> (Series, Terms) {
    let ((demand, asked), (out, terms)) = (bounded(0), bounded(0));
    let terms_end = Terms {
        demand: asked,
        out,
        _life: life.clone(),
    };
    let series = Series {
        demand,
        terms,
        life: life.clone(),
    };
    (series, terms_end)
}

/// Starts a goroutine that makes the terms; `make` requests nothing from other series before its
/// own reader does.
fn series<F>(life: &Sender<()>, make: F) -> Series
where
    F: FnOnce(Terms) -> Result<(), Enough> + Send + 'static,
{
    let (series, terms) = ends(life);
    go! { let _ = make(terms); };
    series
}

/// Returns the series whose coefficient of x^n is `term(n)`.
fn explicit(life: &Sender<()>, term: fn(i128) -> Rational) -> Series {
    series(life, move |out| {
        for n in 0.. {
            out.wanted()?;
            out.give(term(n))?;
        }
        Ok(())
    })
}

/// Returns a series that is defined in terms of itself. `define` gets a copy of it, from which it
/// may request a term only when an earlier one has been made.
fn knot(life: &Sender<()>, define: impl FnOnce(Series) -> Series) -> Series {
    let ((series, out), (copy, again)) = (ends(life), ends(life));
    let source = define(copy);
    go! { let _ = share(source, [out, again], true); };
    series
}

/// Passes the terms of `source` to two readers, each at its own pace. Ends when the first of the
/// two readers ends, or when both have ended.
///
/// The function must not wait only for the source: in a knot the source requests an earlier term
/// meanwhile.
fn share(source: Series, outs: [Terms; 2], ends_with_first: bool) -> Result<(), Enough> {
    let (off_demand, off_terms) = (never(), never());
    let mut lag: [VecDeque<Rational>; 2] = Default::default();
    let (mut wants, mut open, mut asked) = ([false; 2], [true; 2], false);
    while open[0] || (open[1] && !ends_with_first) {
        // A reader requests nothing else before it has got its term.
        let demand = |i: usize| {
            if open[i] && !wants[i] {
                &outs[i].demand
            } else {
                &off_demand
            }
        };
        let from = select! {
            recv(demand(0)) -> more => { (wants[0], open[0]) = (more.is_ok(), more.is_ok()); None }
            recv(demand(1)) -> more => { (wants[1], open[1]) = (more.is_ok(), more.is_ok()); None }
            recv(if asked { &source.terms } else { &off_terms }) -> term => term.ok(),
        };
        if let Some(term) = from {
            asked = false;
            lag.iter_mut().for_each(|lag| lag.push_back(term));
        }
        for i in 0..2 {
            if wants[i]
                && let Some(term) = lag[i].pop_front()
            {
                (wants[i], open[i]) = (false, outs[i].give(term).is_ok());
            }
        }
        if wants.contains(&true) && !asked {
            source.demand.send(()).map_err(|_| Enough)?;
            asked = true;
        }
    }
    Ok(())
}

impl Series {
    fn next(&self) -> Rational {
        self.demand.send(()).unwrap();
        self.terms.recv().unwrap()
    }

    fn first(self, count: usize) -> Vec<Rational> {
        (0..count).map(|_| self.next()).collect()
    }

    fn split(self) -> [Series; 2] {
        let ((one, to_one), (two, to_two)) = (ends(&self.life), ends(&self.life));
        go! { let _ = share(self, [to_one, to_two], false); };
        [one, two]
    }

    /// Applies `f` to each term.
    fn map<F>(self, mut f: F) -> Series
    where
        F: FnMut(i128, Rational) -> Rational + Send + 'static,
    {
        let life = self.life.clone();
        series(&life, move |out| {
            for n in 0.. {
                out.wanted()?;
                out.give(f(n, self.next()))?;
            }
            Ok(())
        })
    }

    fn scaled(self, factor: Rational) -> Series {
        self.map(move |_, term| term.times(factor))
    }

    fn plus(self, other: Series) -> Series {
        self.map(move |_, term| term.plus(other.next()))
    }

    /// Returns `first` + x * self.
    fn after(self, first: Rational) -> Series {
        let life = self.life.clone();
        series(&life, move |out| {
            out.wanted()?;
            out.give(first)?;
            loop {
                out.wanted()?;
                out.give(self.next())?;
            }
        })
    }

    /// f * g = f0 * g + x * (f' * g), where f' is f without its first term.
    fn times(self, other: Series) -> Series {
        let life = self.life.clone();
        series(&life, move |out| {
            out.wanted()?;
            let first = self.next();
            let [now, later] = other.split();
            out.give(first.times(now.next()))?;
            // Waits for demand, because this product starts another one.
            out.wanted()?;
            let rest = self.times(later);
            loop {
                out.give(first.times(now.next()).plus(rest.next()))?;
                out.wanted()?;
            }
        })
    }

    fn derivative(self) -> Series {
        let life = self.life.clone();
        series(&life, move |out| {
            out.wanted()?;
            let _constant = self.next();
            for n in 1.. {
                out.give(self.next().times(whole(n)))?;
                out.wanted()?;
            }
            Ok(())
        })
    }

    fn integral(self, constant: Rational) -> Series {
        self.map(|n, term| term.times(ratio(1, n + 1)))
            .after(constant)
    }

    /// 1/f = r, where r = 1/f0 - x * r * f'/f0.
    fn reciprocal(self) -> Series {
        let life = self.life.clone();
        series(&life, move |out| {
            out.wanted()?;
            let first = self.next().inverse();
            let tail = self.scaled(first.times(whole(-1)));
            let life = tail.life.clone();
            let result = knot(&life, |r| r.times(tail).after(first));
            loop {
                out.give(result.next())?;
                out.wanted()?;
            }
        })
    }

    /// f(g) = f0 + g * f'(g), where g begins with 0.
    fn of(self, inner: Series) -> Series {
        let life = self.life.clone();
        series(&life, move |out| {
            out.wanted()?;
            out.give(self.next())?;
            out.wanted()?;
            let [one, two] = inner.split();
            assert_eq!(one.next(), whole(0), "it could not be summed");
            // f'(g) * g/x, whose terms follow f0.
            let rest = one.times(self.of(two));
            loop {
                out.give(rest.next())?;
                out.wanted()?;
            }
        })
    }
}

fn exp(life: &Sender<()>) -> Series {
    knot(life, |e| e.integral(whole(1)))
}

/// tan' = 1 + tan^2
fn tan(life: &Sender<()>) -> Series {
    knot(life, |t| {
        let [one, two] = t.split();
        let life = one.life.clone();
        let unit = explicit(&life, |n| whole(i128::from(n == 0)));
        unit.plus(one.times(two)).integral(whole(0))
    })
}

fn arctan(life: &Sender<()>) -> Series {
    let squares = |n| whole(i128::from(n == 0 || n == 2));
    explicit(life, squares).reciprocal().integral(whole(0))
}

// --- Tests ---

/// Runs `test` with a `life`, and waits until all goroutines that hold it have ended.
fn with_life(test: impl FnOnce(&Sender<()>)) {
    let (life, ended) = bounded(0);
    test(&life);
    drop(life);
    assert_eq!(ended.recv_timeout(NET), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn powser_sums_products_and_quotients() {
    in_both(|| {
        with_life(|life| {
            let ones = || explicit(life, |_| whole(1));
            let naturals: Vec<_> = (1..=15).map(whole).collect();
            assert_eq!(ones().times(ones()).first(15), naturals);
            assert_eq!(ones().derivative().first(15), naturals);
            assert_eq!(ones().plus(ones()).first(9), [whole(2); 9]);
            let one_minus_x = explicit(life, |n| {
                whole([1, -1].get(n as usize).copied().unwrap_or(0))
            });
            assert_eq!(one_minus_x.reciprocal().first(15), [whole(1); 15]);
            // The series (1-x)^-1 at 2x.
            let twice = explicit(life, |n| whole(if n == 1 { 2 } else { 0 }));
            let powers: Vec<_> = (0..10).map(|n| whole(1 << n)).collect();
            assert_eq!(ones().of(twice).first(10), powers);
            // No term of these series is requested.
            drop([ones().times(ones()), ones().reciprocal(), ones()]);
        });
    });
}

#[test]
fn powser_exponentials() {
    in_both(|| {
        with_life(|life| {
            let inverse_factorial = |n: i128| ratio(1, (1..=n).product());
            let expected: Vec<_> = (0..15).map(inverse_factorial).collect();
            assert_eq!(exp(life).first(15), expected);
            assert_eq!(exp(life).derivative().first(14), expected[..14]);
            let signs = exp(life).reciprocal().first(10);
            assert!((0..10).all(|n| signs[n] == expected[n].times(whole([1, -1][n % 2]))));
            let unit = exp(life).times(exp(life).reciprocal()).first(8);
            assert_eq!(unit, [1, 0, 0, 0, 0, 0, 0, 0].map(whole));
        });
    });
}

#[test]
fn powser_tangents() {
    in_both(|| {
        with_life(|life| {
            let odd = [
                ratio(1, 1),
                ratio(1, 3),
                ratio(2, 15),
                ratio(17, 315),
                ratio(62, 2835),
                ratio(1382, 155_925),
            ];
            let tangent = tan(life).first(12);
            assert!((0..6).all(|n| (tangent[2 * n], tangent[2 * n + 1]) == (whole(0), odd[n])));
            let identity = [0, 1, 0, 0, 0, 0, 0].map(whole);
            assert_eq!(tan(life).of(arctan(life)).first(7), identity);
            assert_eq!(arctan(life).of(tan(life)).first(7), identity);
        });
    });
}
