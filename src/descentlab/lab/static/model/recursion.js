/**
 * How a step treats one direction, and what any number of steps makes of its error: `descent/recursion.py` and `descent/residual_polynomial.py`.
 *
 * With x = lr * curvature the error after t updates is h(x, t) times what it was, h(t + 1) = T h(t) - D h(t - 1):
 *
 *     heavy ball   T = 1 + mu - (1 - tau) x    D = mu              h(1) = 1 - x
 *     Nesterov     T = (1 + mu) (1 - x)        D = mu (1 - x)      h(1) = 1 - (1 + mu) x
 *
 * @typedef {{momentum: number, dampening: number, nesterov: boolean}} Recursion
 */

const ROUNDING = 1e-13; // a factor no further beyond 1 is 1, as far as float64 can tell
const ENDLESS = 1e6; // where roots of size 1 all but meet, errors grow this many times before they turn
const VANISHED = -700; // the logarithm of a root that is as good as 0: its reciprocal still fits into float64
const LARGEST = 1e300; // of lr * curvature: what is beyond it overflows in one update all the same

/** The recursion of a descent's settings: to forget `zero_grad` is momentum 1. @returns {Recursion} */
export function recursionOf({ momentum = 0, dampening = 0, nesterov = false, zero_grad = true }) {
  return { momentum: zero_grad ? momentum : 1, dampening: momentum ? dampening : 0, nesterov };
}

/** The bound on `lr * curvature` below which every error shrinks. @type {(recursion: Recursion) => number} */
export function limit({ momentum, dampening, nesterov }) {
  if (momentum === 0) return 2;
  if (nesterov) return (2 * (1 + momentum)) / (1 + 2 * momentum);
  if (momentum > 1) return 0;
  return dampening >= 1 ? Infinity : (2 * (1 + momentum)) / (1 - dampening);
}

/** The `lr * curvature` at which the roots meet at a positive one: no swing, and the fastest decay. */
export function dampedMost({ momentum, dampening, nesterov }) {
  if (nesterov) return ((1 - momentum) / (1 + momentum)) ** 2;
  return dampening < 1 ? (1 - Math.sqrt(momentum)) ** 2 / (1 - dampening) : 1;
}

/** The recursion's trace T, and `T^2 - 4 D` multiplied out, so that nothing cancels at small x or at momentum 1. */
function characteristic(x, { momentum, dampening, nesterov }) {
  if (nesterov) {
    return [(1 + momentum) * (1 - x), (1 - x) * ((1 - momentum) ** 2 - (1 + momentum) ** 2 * x)];
  }
  const damped = (1 - dampening) * x;
  return [1 + momentum - damped, (1 - momentum) ** 2 - damped * (2 * (1 + momentum) - damped)];
}

const rootOf = (trace, discriminant) =>
  Math.abs(discriminant) === Infinity ? Math.abs(trace) : Math.sqrt(Math.max(discriminant, 0));

const negative = (x) => x < 0 || Object.is(x, -0);

/**
 * The factor by which an epoch multiplies an error: signed where the dominant root is real, else its modulus.
 * @type {(x: number, recursion: Recursion) => number}
 */
export function growth(x, recursion) {
  if (recursion.momentum === 0) return 1 - x;
  const [trace, discriminant] = characteristic(x, recursion);
  const root = rootOf(trace, discriminant);
  if (discriminant >= 0) return (trace + (negative(trace) ? -root : root)) / 2;
  return Math.sqrt(Math.max(recursion.nesterov ? recursion.momentum * (1 - x) : recursion.momentum, 0));
}

/**
 * `1 - growth(x)`, with all its digits where the dominant root is real and near 1.
 * @type {(x: number, recursion: Recursion) => number}
 */
export function gap(x, recursion) {
  const { momentum, dampening, nesterov } = recursion;
  if (momentum === 0) return x;
  const pull = nesterov ? x : (1 - dampening) * x;
  const b = 1 - momentum + (nesterov ? 1 + momentum : 1 - dampening) * x;
  const discriminant = b * b - 4 * pull;
  const apart = rootOf(b, discriminant);
  const factor = growth(x, recursion);
  if (!(discriminant >= 0 && factor > 0)) return 1 - factor;
  return b >= 0 ? (2 * pull) / (b + apart === 0 ? 1 : b + apart) : (b - apart) / 2;
}

/** `log |1 - x|`: beyond 1 it is `1 + (x - 2)`, so that digits stay on both sides. @type {(x: number) => number} */
export const logLeft = (x) => Math.log1p(x <= 1 ? -x : x - 2);

/** `(1 - (1 - x)^t) / x`, the sum of (1 - x)^k for k < t; `log` is {@link logLeft} of x. */
export function geometricSum(x, t, log = logLeft(x)) {
  if (t === 0) return 0;
  if (x === 0) return t;
  return (x > 1 && t % 2 === 1 ? 1 + Math.exp(t * log) : -Math.expm1(t * log)) / x;
}

/**
 * One direction's response: sign and log of the dominant root's size, `first = h(1) - r1` (or `- rho cos theta`),
 * `apart = 1 - r2 / r1`, and the angle where roots are complex.
 * @typedef {{sign: number, log: number, first: number, apart: number, angle: number, plain: boolean, slope: number,
 *   amplitude: number, peak: number, lasting: number, fading: number, fade: number}} Mode
 * @type {(x: number, recursion: Recursion) => Mode}
 */
function modeOf(given, recursion) {
  const x = Math.min(given, LARGEST);
  const r = growth(x, recursion);
  const none = { plain: true, slope: 0, amplitude: 1, peak: 0, lasting: 1, fading: 0, fade: 0 };
  if (recursion.momentum === 0) {
    return { sign: r < 0 ? -1 : 1, log: logLeft(x), first: 0, apart: 1, angle: 0, ...none };
  }
  const short = gap(x, recursion);
  const [trace, discriminant] = characteristic(x, recursion);
  const size = Math.abs(r);
  const drop = x * (recursion.nesterov ? 1 + recursion.momentum : 1);
  const h1 = 1 - drop;
  if (discriminant < 0) {
    const angle = Math.atan2(Math.sqrt(-discriminant), Math.abs(trace));
    return { sign: trace < 0 ? -1 : 1, log: Math.log1p(size - 1), first: h1 - trace / 2, apart: 0, angle, ...none };
  }
  const apart = size > 0 ? rootOf(trace, discriminant) / size : 1;
  const log = Math.log1p(r > 0.5 && short < 1 ? -short : size - 1);
  // From the gap where r is near 1, so that slow directions keep their digits.
  return { sign: r < 0 ? -1 : 1, log, first: r > 0.5 ? short - (1 - h1) : h1 - r, apart, angle: 0, ...none };
}

/**
 * Add what bounds `|h|`: `|r|^t min(1 + slope t, amplitude, lasting + fading exp(fade t))`, the first form falling from
 * `peak` on. Where roots are real, `h / r1^t` nears `1 + (h(1) / r1 - 1) / apart`; where complex, it swings for ever.
 */
function bounded(mode) {
  const slope = Math.abs(mode.first) * Math.exp(-Math.max(mode.log, VANISHED));
  const times = mode.apart > 0 ? Math.max(1 / mode.apart, 1) : Infinity;
  const amplitude = mode.angle > 0 ? Math.hypot(1, slope / Math.sin(mode.angle)) : 1 + slope * times;
  const peak = slope > 0 ? Math.max(-1 / mode.log - 1 / slope, 0) : 0;
  const turning = mode.angle > 0;
  const added = turning ? 0 : (mode.sign * mode.first * Math.exp(-Math.max(mode.log, VANISHED))) / mode.apart;
  const fade = turning ? 0 : Math.max(Math.log(Math.abs(1 - mode.apart)), VANISHED);
  const lasting = turning ? amplitude : Math.abs(1 + added);
  return { ...mode, plain: false, slope, amplitude, peak, lasting, fading: Math.abs(added), fade };
}

/** h after t updates, over `exp(shrink)` for what is beyond float64. @type {(mode: Mode, t: number, shrink?: number) => number} */
export function factorAt(mode, t, shrink = 0) {
  if (t === 0) return Math.exp(-shrink);
  const odd = mode.sign < 0 && t % 2 === 1 ? -1 : 1;
  const power = odd * Math.exp(t * mode.log - shrink);
  if (mode.plain || (mode.first === 0 && mode.angle === 0)) return power;
  const before = odd * mode.sign * Math.exp((t === 1 ? 0 : (t - 1) * mode.log) - shrink);
  if (mode.angle === 0) return power + mode.first * before * geometricSum(mode.apart, t);
  const waves = Math.sin(t * mode.angle) / Math.sin(mode.angle);
  return power * Math.cos(t * mode.angle) + mode.first * before * waves;
}

/** A bound on `|h|` from t updates on, and the slope of its logarithm; t need not be whole. @returns {[number, number]} */
export function envelopeAt(mode, t) {
  if (mode.plain) return [Math.exp(t === 0 ? 0 : t * mode.log), mode.log];
  const { slope, amplitude, peak, lasting, fading, fade } = mode;
  const log = Math.max(mode.log, VANISHED); // as the bound has it: roots of 0 still leave h(1)
  const late = Math.max(t, peak);
  const bent = Math.exp(late * log) * (1 + slope * late);
  const left = fading * Math.exp(t * fade);
  const settling = lasting + left < amplitude;
  const straight = Math.exp(t * log) * (settling ? lasting + left : amplitude);
  if (bent <= straight && log < 0) return [bent, t > peak ? log + slope / (1 + slope * late) : 0];
  return [straight, settling ? log + (left * fade) / (lasting + left) : log];
}

/** A bound on `|h|` from `since` to t updates that never falls with t, over `exp(shrink)`. */
export function ceilingAt(mode, t, shrink, since) {
  let times = 1;
  if (!mode.plain) {
    times = Math.min(1 + mode.slope * t, mode.amplitude);
    const settling = mode.lasting + mode.fading * Math.exp(since * mode.fade);
    if (settling < times) times = settling;
  }
  return Math.exp(Math.max(mode.log, 0) * t - shrink) * times;
}

/** Whether the error changes sides for ever. @type {(mode: Mode) => boolean} */
export const swings = (mode) => mode.sign < 0 || mode.angle > 0;

/** Whether the error grows without end. @type {(mode: Mode) => boolean} */
export function grows(mode) {
  if (mode.plain) return mode.log > ROUNDING;
  const meeting = (mode.angle > 0 ? Math.sin(mode.angle) : mode.apart) < 1 / ENDLESS;
  return mode.log > ROUNDING || (mode.log >= -ROUNDING && meeting && mode.amplitude > ENDLESS);
}

/** Whether the error neither grows nor shrinks, as far as float64 can tell. @type {(mode: Mode) => boolean} */
export const stands = (mode) => (mode.log >= 0 || (swings(mode) && mode.log >= -ROUNDING)) && !grows(mode);

/** The modes of these x. @type {(x: number[], recursion: Recursion) => Mode[]} */
export function modesOf(x, recursion) {
  const modes = x.map((each) => modeOf(each, recursion));
  return modes.some((mode) => mode.first !== 0) ? modes.map(bounded) : modes;
}

/**
 * What any number of updates makes of errors where `lr * curvature` is x.
 * @param {number[]} x
 * @param {Recursion} recursion
 */
export function response(x, recursion) {
  const modes = modesOf(x, recursion);
  return {
    modes,
    at: (t, shrink = 0) => modes.map((mode) => factorAt(mode, t, shrink)),
    envelope: (t) => modes.map((mode) => envelopeAt(mode, t)[0]),
    amplitude: modes.map((mode) => mode.amplitude),
    swings: modes.map(swings),
    grows: modes.map(grows),
    stands: modes.map(stands),
  };
}
