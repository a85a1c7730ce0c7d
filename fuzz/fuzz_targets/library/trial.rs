//! A writer on a scripted kernel, and every comparison of what they say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pipewright::scripted::{Kernel, clock};
use pipewright::{Builder, Permit, PipeWriter, Position, Progress, Unsent, WeakPipeWriter};

use crate::script::{Callback, Plan, Step};
use crate::task::{Task, Told};

/// The unit of time of a script; the linger times are a few of it.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Trial {
    kernel: Kernel,
    handles: Vec<PipeWriter>,
    weak: WeakPipeWriter,
    permits: Vec<Permit>,
    tasks: Vec<Task>,
    books: Books,
    unsent: Option<Unsent>,
    /// Whether the kernel's one pipe was handed over; it was then, even if refused.
    handed_over: bool,
    drains: bool,
    listens: bool,
}

/// What was accepted, and what the callback was told; shared with it.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    accepted: Vec<(Position, Bytes)>,
    told: Vec<Progress>,
    messages: u64,
    /// Every message's memory holds a reference.
    memory: Arc<()>,
}

impl Trial {
    pub(crate) fn new(plan: &Plan) -> Self {
        let kernel = Kernel::new(plan.kernel.clone());
        let books = Books::default();
        let builder = PipeWriter::builder()
            .capacity(plan.capacity)
            .linger(TICK * u32::from(plan.linger))
            .mode(plan.kernel.mode);
        let late = Arc::new(Mutex::new(None));
        let builder = books.listen(builder, plan.callback, Arc::clone(&late));
        let writer = builder.unattached().expect("a capacity that is allowed");
        let weak = writer.downgrade();
        *late.lock().unwrap_or_else(PoisonError::into_inner) = Some(weak.clone());
        let mut trial = Trial {
            kernel,
            handles: vec![writer],
            weak,
            permits: Vec::new(),
            tasks: Vec::new(),
            books,
            unsent: None,
            handed_over: false,
            drains: plan.drains,
            listens: plan.callback != Callback::None,
        };
        if plan.attached {
            trial.take(Step::Attach);
        }
        trial
    }

    pub(crate) fn take(&mut self, step: Step) {
        self.act(step);
        if let Some(writer) = self.handles.first() {
            let now = writer.progress();
            let sum = now.written + now.in_flight + now.queued + now.in_doubt;
            assert_eq!(now.accepted, sum, "{now:?}");
        }
    }

    fn act(&mut self, step: Step) {
        // What the system does needs no handle.
        match step {
            Step::Kernel(choice) => {
                self.kernel.step(choice);
                return;
            }
            Step::Pass(ticks) => return clock::advance(TICK * u32::from(ticks)),
            Step::SendPermit { which, len } if which < self.permits.len() => {
                let permit = self.permits.remove(which);
                let (message, data) = self.books.message(len);
                if let Ok(position) = permit.send(message) {
                    self.books.accept(position, data);
                }
                return;
            }
            Step::DropPermit(which) if which < self.permits.len() => {
                drop(self.permits.remove(which));
                return;
            }
            Step::Poll(which) if which < self.tasks.len() => return self.poll(which),
            Step::GiveUp(which) if which < self.tasks.len() => {
                drop(self.tasks.remove(which));
                return;
            }
            Step::DropHandle => return drop(self.handles.pop()),
            _ => {}
        }
        if let Some(writer) = self.handles.first().cloned() {
            self.use_handle(writer, step);
        }
    }

    fn use_handle(&mut self, writer: PipeWriter, step: Step) {
        let books = self.books.clone();
        match step {
            Step::Send(len) => {
                let (message, data) = books.message(len);
                match writer.try_send(message) {
                    Ok(position) => books.accept(position, data),
                    Err(refused) => assert_eq!(refused.into_inner(), data, "handed back"),
                }
            }
            Step::SendSlice(len) => {
                let (_, data) = books.message(len);
                if let Ok(position) = writer.try_send_slice(&data) {
                    books.accept(position, data);
                }
            }
            Step::Reserve(len) => self.permits.extend(writer.try_reserve(len)),
            Step::Clone => self.handles.push(writer),
            Step::Attach if !self.handed_over => {
                self.handed_over = true;
                // Refused after the end, and closed with the error.
                let _ = writer.attach(self.kernel.pipe());
            }
            Step::Finish => writer.finish(),
            Step::Cancel => writer.cancel(),
            Step::TakeUnsent if self.unsent.is_none() => self.unsent = writer.take_unsent(),
            Step::Look => self.audit(&writer.progress()),
            Step::BeginSend(len) => {
                let (message, data) = books.message(len);
                self.begin(async move {
                    match writer.send(message).await {
                        Ok(position) => Told::Sent(position, data),
                        Err(refused) => {
                            assert_eq!(refused.0, data, "handed back");
                            Told::Over
                        }
                    }
                });
            }
            Step::BeginFlush => self.begin(async move {
                let _ = writer.flush().await;
                Told::Over
            }),
            Step::BeginEnded => self.begin(async move {
                let _ = writer.ended().await;
                Told::Over
            }),
            Step::BeginClose(ticks) => self.begin(async move {
                match writer.close(TICK * u32::from(ticks)).await {
                    Ok(_) => Told::Over,
                    Err(error) => Told::Closed(error.into_unsent()),
                }
            }),
            _ => {}
        }
    }

    fn begin(&mut self, future: impl Future<Output = Told> + 'static) {
        self.tasks.push(Task::new(future));
        self.poll(self.tasks.len() - 1);
    }

    fn poll(&mut self, which: usize) {
        let Some(told) = self.tasks[which].poll() else {
            return;
        };
        drop(self.tasks.remove(which));
        match told {
            Told::Sent(position, data) => self.books.accept(position, data),
            // Whoever asks first gets everything.
            Told::Closed(unsent) if self.unsent.is_none() => self.unsent = Some(unsent),
            _ => {}
        }
    }

    /// Brings it to its end, and draws up the final account.
    pub(crate) fn wind_up(mut self) {
        self.permits.clear();
        // A task may have the last handle.
        self.handles.extend(self.weak.upgrade());
        if self.drains {
            self.take(Step::Attach);
            self.poll_all();
            self.take(Step::Finish);
            self.settle();
        }
        self.take(Step::Cancel);
        self.settle();
        self.poll_all();
        assert!(self.tasks.is_empty(), "a task still waits after the end");
        self.take(Step::TakeUnsent);
        if let Some(writer) = self.handles.first() {
            let progress = writer.progress();
            assert!(progress.outcome.is_some(), "{progress:?}");
            self.audit(&progress);
        }
        self.handles.clear();
        // Whoever lingers without handles is stopped when his time is over.
        self.settle();
        let told = std::mem::take(&mut self.books.entries().told);
        if self.listens {
            assert!(told.is_sorted_by_key(|progress| progress.written));
            let ends = told.iter().filter(|progress| progress.outcome.is_some());
            assert_eq!(ends.count(), 1, "the end is told once");
            let last = told.last().expect("the end was told");
            assert!(last.outcome.is_some(), "and last");
            self.audit(last);
        }
        assert_eq!(self.kernel.account().closed, usize::from(self.handed_over));
        assert_eq!(clock::timers(), 0, "a timer is left");
        assert!(pipewright::wait_lingering(Duration::ZERO).is_ok());
        drop((told, self.unsent.take()));
        let memory = &self.books.entries().memory;
        assert_eq!(Arc::strong_count(memory), 1, "a message is left");
    }

    /// Everything that happens by itself.
    fn settle(&mut self) {
        for _ in 0..100 {
            while self.kernel.step(0) {}
            clock::advance(TICK);
        }
    }

    fn poll_all(&mut self) {
        for which in (0..self.tasks.len()).rev() {
            self.poll(which);
        }
    }

    fn audit(&self, progress: &Progress) {
        // Whoever took the unsent data took it after the end.
        let unsent = self.unsent.as_ref();
        let audited = self
            .kernel
            .account()
            .audit(&self.books.stream(), progress, unsent);
        assert_eq!(audited, Ok(()));
    }
}

impl Books {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message that no other resembles, in memory that is counted, and a copy.
    fn message(&self, len: usize) -> (Bytes, Bytes) {
        struct Counted(
            Vec<u8>,
            #[allow(dead_code, reason = "it is counted")] Arc<()>,
        );
        impl AsRef<[u8]> for Counted {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let mut entries = self.entries();
        entries.messages += 1;
        let mut noise = entries.messages.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut data = Vec::with_capacity(len + 8);
        while data.len() < len {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            data.extend_from_slice(&noise.to_le_bytes());
        }
        data.truncate(len);
        let copy = Bytes::from(data.clone());
        let message = Bytes::from_owner(Counted(data, Arc::clone(&entries.memory)));
        (message, copy)
    }

    fn accept(&self, position: Position, data: Bytes) {
        self.entries().accepted.push((position, data));
    }

    /// What was accepted, in order: a callback may have sent before an outer send
    /// returned.
    fn stream(&self) -> Vec<u8> {
        let entries = self.entries();
        let mut accepted: Vec<_> = entries.accepted.iter().collect();
        accepted.sort_by_key(|(position, _)| *position);
        let mut stream = Vec::new();
        for (position, data) in accepted {
            stream.extend_from_slice(data);
            assert_eq!(position.get(), stream.len() as u64, "messages overlap");
        }
        stream
    }

    fn listen(
        &self,
        builder: Builder,
        callback: Callback,
        writer: Arc<Mutex<Option<WeakPipeWriter>>>,
    ) -> Builder {
        if callback == Callback::None {
            return builder;
        }
        let books = self.clone();
        builder.on_progress(move |progress| {
            books.entries().told.push(progress);
            let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writer.as_ref().and_then(WeakPipeWriter::upgrade);
            match (callback, writer) {
                (Callback::Sends, Some(writer)) => {
                    let (message, data) = books.message(10);
                    if let Ok(position) = writer.try_send(message) {
                        books.accept(position, data);
                    }
                }
                (Callback::Cancels, Some(writer)) => writer.cancel(),
                _ => {}
            }
        })
    }
}
