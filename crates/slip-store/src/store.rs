//! The store: opens a place, starts the writer, and answers what the rest of the house asks.

use crate::Error;
use crate::KeyUsage;
use crate::content::Content;
use crate::database::{Changes, Database, Result as Told, Trouble};
use crate::directory::{Directory, Edit, Snapshot};
use crate::generations::Generation;
use crate::generations::Page;
use crate::journal::{Journal, replay};
use crate::keyring::Keyring;
use crate::keys::{Before, DEFAULT_WORKSPACE, Key, NewKey, SecretKey, hex};
use crate::leases::{Keeper, Leases};
use crate::ledger::{CAPACITY, Hot, Ledger};
use crate::pepper::Pepper;
use crate::place::{Dir, Place};
use crate::postgres::Postgres;
use crate::scopes::{ScopeId, Standing};
use crate::sqlite::Sqlite;
use crate::things::{Kind, Thing};
use crate::usage::{Between, Used};
use crate::vault::{Masters, Vault};
use crate::writer::{Letter, Sight, Writer};
use slip_ir::Nano;
use slip_quota::{Account, Caps};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Called on the writer's thread with every record, soon after it was handed in: work that need not hold up a request.
pub type Observer = Box<dyn FnMut(&Generation) + Send>;

/// How long a change waits for the database. It is then not made at all: whoever asked has been told so.
const CHANGE: Duration = Duration::from_secs(6);
/// The same of [`Store::flush`], which waits for everybody's records.
const FLUSH: Duration = Duration::from_secs(20);
/// The same of a keeper's round, for which somebody may be waiting.
const ROUND: Duration = Duration::from_secs(2);
/// Records found in the journal are put away in batches of the writer's size.
const REPLAYED: usize = 512;

/// Name of the setting that proves the pepper belongs to this database, and what it is the HMAC of.
pub(crate) const PEPPER_PROOF: &str = "pepper-proof";
const PROVEN: &[u8] = b"slipswitch pepper proof";

/// A handle to the store. Cheap to clone. When the last handle and the last [`Ledger`] are gone the writer puts away what it was
/// given and ends; [`Store::close`] waits for that.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    keyring: Keyring,
    directory: Directory,
    vault: Vault,
    /// Absent in memory, where only the writer's connection sees the data.
    reader: Option<Mutex<Box<dyn Database>>>,
    sight: Arc<Sight>,
    writer: Thread,
    ended: Mutex<Option<JoinHandle<()>>>,
    cut_off: usize,
    shared: Option<Shared>,
    /// One change of a key at a time, so that memory and disk agree on which came last.
    changing: tokio::sync::Mutex<()>,
}

/// What is to be known of a database that others change too.
struct Shared {
    /// The name of this gateway.
    gateway: String,
    /// Once there is a keeper.
    leases: OnceLock<Leases>,
    seen: Mutex<Changes>,
    /// The keyring may lack what others have done: the last look failed.
    doubtful: AtomicBool,
}

/// What another gateway has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The keyring has been read anew.
    pub keys: bool,
    /// Whoever holds things in memory should read them anew.
    pub things: bool,
}

/// A place that has been opened.
struct Opened {
    dir: Option<Dir>,
    database: Box<dyn Database>,
    reader: Option<Box<dyn Database>>,
    pepper: Pepper,
    /// What it is that several gateways share, for people, and which of them this is.
    shared: Option<(String, String)>,
}

impl Opened {
    fn at(place: &Place, durable: bool) -> Result<Opened, Error> {
        Ok(match place {
            Place::Memory => {
                let database = Box::new(Sqlite::writer(place, Path::new(""))?);
                Opened { dir: None, database, reader: None, pepper: Pepper::random(), shared: None }
            }
            Place::Dir(path) => {
                let dir = Dir::open(path)?;
                let database = Sqlite::writer(place, &dir.database)?;
                let database = Box::new(if durable { database.durable()? } else { database });
                let reader: Box<dyn Database> = Box::new(Sqlite::reader(&dir.database)?);
                let pepper = dir.pepper.clone();
                Opened { dir: Some(dir), database, reader: Some(reader), pepper, shared: None }
            }
            Place::Postgres { url, dir, pepper } => {
                let dir = Dir::without_database(dir, pepper.clone())?;
                let (database, reader) = Postgres::open(url)?;
                let gateway = dir.gateway()?;
                let database = Box::new(database.of_gateway(&gateway));
                let (pepper, shared) = (dir.pepper.clone(), Some((url.to_string(), gateway)));
                Opened { dir: Some(dir), database, reader: Some(Box::new(reader)), pepper, shared }
            }
        })
    }
}

impl Store {
    /// Blocks while the database is opened: with Postgres, for seconds if it is not there.
    pub fn open(place: Place, observer: Option<Observer>) -> Result<Store, Error> {
        Store::open_with(place, None, false, observer)
    }

    /// With master keys that are given; else they are in the directory. `durable`: what is said to be written outlives a loss of
    /// power, for which a request waits (see [`crate::OnDisk`]).
    pub fn open_with(
        place: Place,
        masters: Option<Masters>,
        durable: bool,
        observer: Option<Observer>,
    ) -> Result<Store, Error> {
        let postgres = matches!(place, Place::Postgres { .. });
        let open = move || Store::open_here(place, masters, durable, observer);
        if !postgres {
            return open();
        }
        // A connection waits on a runtime of its own, which it may not on a thread that belongs to another.
        let opening = thread::Builder::new().name("slip-open".into()).spawn(open);
        let opening = opening.map_err(|source| Error::Io { path: "slip-open".into(), source })?;
        opening.join().unwrap_or(Err(Error::Closed))
    }

    fn open_here(
        place: Place,
        masters: Option<Masters>,
        durable: bool,
        observer: Option<Observer>,
    ) -> Result<Store, Error> {
        let Opened { dir, mut database, reader, pepper, shared } = Opened::at(&place, durable)?;
        let keyring = Keyring::new(&pepper.0);
        let database_name = shared.as_ref().map(|(database, _)| &**database);
        prove_pepper(&mut *database, &keyring, dir.as_ref(), database_name)?;
        let vault = Vault::open(masters, dir.as_ref(), database_name, &mut *database)?;
        // What is changed after this look is seen at the next one.
        let seen = database.changes()?.unwrap_or_default();
        keyring.replace(database.keys()?);
        let shared = shared.map(|(_, gateway)| Shared {
            gateway,
            seen: Mutex::new(seen),
            doubtful: AtomicBool::new(false),
            leases: OnceLock::new(),
        });
        let hot = Arc::new(Hot::default());
        let directory = Directory::read(&mut *database)?;
        let (journal, recovered) = match &dir {
            None => (None, 0),
            Some(dir) => {
                let recovered = replay(&dir.journal)?;
                let cut_off = recovered.cut_off;
                let sheets: Vec<_> = recovered.records.iter().map(|record| (record, None)).collect();
                sheets.chunks(REPLAYED).try_for_each(|sheets| database.put_records(sheets))?;
                recovered.forget()?;
                let journal = Journal::begin(&dir.journal)?;
                (Some(Arc::new(if durable { journal.durable()? } else { journal })), cut_off)
            }
        };
        hot.scopes.arrange(&keyring.all(), &directory.now());
        for whose in database.totals()? {
            hot.scopes.load(&whose);
        }

        let (to_writer, letters) = mpsc::channel(CAPACITY);
        let sight = Arc::new(Sight::default());
        let writer = Writer {
            letters,
            database,
            observer,
            sight: sight.clone(),
            journal: journal.clone(),
            hot: hot.clone(),
            dir,
        };
        let ended = thread::Builder::new()
            .name("slip-ledger".into())
            .spawn(move || writer.run())
            .map_err(|source| Error::Io { path: "slip-ledger".into(), source })?;
        Ok(Store(Arc::new(Inner {
            ledger: Ledger { to_writer, hot, journal },
            cut_off: recovered,
            keyring,
            directory,
            vault,
            reader: reader.map(Mutex::new),
            shared,
            sight,
            writer: ended.thread().clone(),
            ended: Mutex::new(Some(ended)),
            changing: tokio::sync::Mutex::new(()),
        })))
    }

    pub fn ledger(&self) -> Ledger {
        self.0.ledger.clone()
    }

    pub fn keyring(&self) -> Keyring {
        self.0.keyring.clone()
    }

    pub fn directory(&self) -> Directory {
        self.0.directory.clone()
    }

    pub fn vault(&self) -> Vault {
        self.0.vault.clone()
    }

    /// The vault, with a master key that is this database's: to be asked for before anything is sealed.
    pub async fn vault_to_seal(&self) -> Result<Vault, Error> {
        let vault = self.vault();
        self.write(move |db| Ok(vault.prepare(db).map(|()| vault))).await?
    }

    /// Change the directory: `decide` sees it as it is, nobody else changes it meanwhile, and what it decides on is done, wholly
    /// or up to what the disk refused. It runs on the writer's thread, so that nothing is left half done when the one who asked goes.
    pub async fn direct<T: Send + 'static, E: From<Error> + Send + 'static>(
        &self,
        decide: impl FnOnce(&Snapshot) -> Result<(Vec<Edit>, T), E> + Send + 'static,
    ) -> Result<T, E> {
        // No key comes or goes meanwhile either: a workspace that has one cannot go.
        let _changing = self.0.changing.lock().await;
        let (directory, keyring, hot) = (self.directory(), self.keyring(), self.0.ledger.hot.clone());
        let changed = self.write(move |db| {
            let told =
                decide(&directory.now()).and_then(|(edits, told)| Ok(directory.apply(edits, db).map(|()| told)?));
            hot.scopes.arrange(&keyring.all(), &directory.now());
            Ok(told)
        });
        changed.await?
    }

    /// How many requests were under way when the process before this one ended without putting them away. They were closed.
    pub fn cut_off(&self) -> usize {
        self.0.cut_off
    }

    /// Whether other gateways may use the same database.
    pub fn is_shared(&self) -> bool {
        self.0.shared.is_some()
    }

    /// Whether a key that is not in the keyring may exist all the same: another gateway may have made it, and the database cannot be
    /// asked.
    pub fn is_doubtful(&self) -> bool {
        self.0.shared.as_ref().is_some_and(|shared| shared.doubtful.load(Ordering::Relaxed))
    }

    /// Spend from limits that other gateways spend from as well: from now on no more than is lent to this one, which is the keeper's
    /// work. `lasts` is how long the others wait for a sign of life before they take what it has. `None` where there are no others.
    pub fn lend(&self, lasts: Duration) -> Option<Keeper> {
        let shared = self.0.shared.as_ref()?;
        let keeper = Keeper::new(self.clone(), shared.gateway.clone(), lasts);
        shared.leases.set(keeper.leases()).ok()?;
        self.0.ledger.hot.scopes.share();
        Some(keeper)
    }

    /// Where to ask for more of a limit that is lent.
    pub fn leases(&self) -> Option<&Leases> {
        self.0.shared.as_ref()?.leases.get()
    }

    pub(crate) fn account(&self, id: &ScopeId) -> Option<Arc<Account>> {
        self.0.ledger.hot.scopes.account(id)
    }

    /// So many gateways share what is limited by the minute or at once.
    pub(crate) fn divide(&self, gateways: u32) {
        self.0.ledger.hot.scopes.divide(gateways);
        self.arrange();
    }

    /// A keeper's work on the database, after every record handed in so far.
    pub(crate) async fn of_database<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Told<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_within(ROUND, work).await
    }

    /// See what other gateways have changed. To be called every second or so; costs one short question to the database.
    pub async fn refresh(&self) -> Result<Changed, Error> {
        let Some(shared) = &self.0.shared else { return Ok(Changed::default()) };
        let done = self.look(shared).await;
        shared.doubtful.store(done.is_err(), Ordering::Relaxed);
        done
    }

    async fn look(&self, shared: &Shared) -> Result<Changed, Error> {
        let seen = *shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.read(|db| db.changes()).await?.unwrap_or_default();
        let changed = Changed { keys: now.keys != seen.keys, things: now.things != seen.things };
        if changed.keys {
            // A change of our own is either in what is read now, or made after it is put in force.
            let _changing = self.0.changing.lock().await;
            let keys = self.read(|db| db.keys()).await?;
            self.0.keyring.replace(keys);
        }
        if changed.things {
            let _changing = self.0.changing.lock().await;
            let directory = self.0.directory.clone();
            self.read(move |db| directory.reload(db).map_err(|e| Trouble(e.to_string()))).await?;
        }
        if changed.keys || changed.things {
            self.arrange();
        }
        // Only now: what was not read is looked for again.
        *shared.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(changed)
    }

    /// The record of this id, written lately or long ago.
    pub async fn generation(&self, id: &str) -> Result<Option<Arc<Generation>>, Error> {
        if let Some(record) = self.0.ledger.recent(id) {
            return Ok(Some(record));
        }
        let id = id.to_owned();
        Ok(self.read(move |db| db.generation(&id)).await?.map(Arc::new))
    }

    /// See what a key has spent by other gateways as well. What cannot be asked stays as it was known.
    pub async fn learn(&self, key_hash: &Arc<str>) {
        if !self.is_shared() {
            return;
        }
        let hash = key_hash.clone();
        if let Ok(days) = self.read(move |db| db.spent(&hash)).await {
            self.0.ledger.hot.scopes.learn(key_hash, &days);
        }
    }

    /// What was spent by or within this.
    pub fn usage(&self, id: &ScopeId, now_ms: i64) -> KeyUsage {
        self.0.ledger.hot.scopes.usage(id, now_ms)
    }

    /// What requests under way hold of it.
    pub fn held(&self, id: &ScopeId) -> Nano {
        self.0.ledger.hot.scopes.held(id).own
    }

    /// Where a key stands: the scopes its requests need leave of.
    pub fn standing(&self, key: &Key) -> Arc<Standing> {
        self.0.ledger.hot.scopes.of(&key.hash, &key.workspace, key.detail.member.as_ref())
    }

    /// What all keys together may spend.
    pub fn cap_instance(&self, caps: Caps) {
        self.0.ledger.hot.scopes.cap_instance(caps);
    }

    /// Keep a key. One that exists already is returned as it is: a key fixed by the operator is the same key at every start.
    pub async fn create_key(&self, secret: &SecretKey, new: NewKey, now_ms: i64) -> Result<Arc<Key>, Error> {
        let _changing = self.0.changing.lock().await;
        if let Some(key) = self.0.keyring.find(secret.expose(), now_ms) {
            return Ok(key);
        }
        let key = Arc::new(Key {
            mac: self.0.keyring.mac_of(secret),
            hash: secret.hash().into(),
            label: secret.label(),
            name: new.name,
            kind: new.kind,
            disabled: false,
            limit: new.limit,
            limit_reset: new.limit_reset,
            include_byok_in_limit: new.include_byok_in_limit,
            expires_ms: new.expires_ms,
            created_ms: now_ms,
            updated_ms: None,
            workspace: new.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.into()),
            detail: new.detail,
        });
        self.put_key(key.clone()).await?;
        Ok(key)
    }

    /// Change a key: an edited clone of one from the keyring. `None` when it has been deleted meanwhile.
    pub async fn update_key(&self, mut edited: Key, now_ms: i64) -> Result<Option<Arc<Key>>, Error> {
        let _changing = self.0.changing.lock().await;
        if self.0.keyring.by_hash(&edited.hash).is_none() {
            return Ok(None);
        }
        edited.updated_ms = Some(now_ms);
        let key = Arc::new(edited);
        self.put_key(key.clone()).await?;
        Ok(Some(key))
    }

    /// Give a key another secret. The one before opens it until `until_ms`. `None` when there is no such key.
    pub async fn rotate_key(
        &self,
        hash: &str,
        secret: &SecretKey,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Arc<Key>>, Error> {
        let _changing = self.0.changing.lock().await;
        let Some(key) = self.0.keyring.by_hash(hash) else { return Ok(None) };
        let mut rotated = Key::clone(&key);
        rotated.detail.before = (until_ms > now_ms).then_some(Before { mac: key.mac, until_ms });
        rotated.mac = self.0.keyring.mac_of(secret);
        rotated.label = secret.label();
        rotated.updated_ms = Some(now_ms);
        let rotated = Arc::new(rotated);
        self.put_key(rotated.clone()).await?;
        Ok(Some(rotated))
    }

    /// Forget a key, and what was kept of its requests. Says whether there was one. What it spent is kept.
    pub async fn delete_key(&self, hash: &str) -> Result<bool, Error> {
        let _changing = self.0.changing.lock().await;
        // Memory first: a key that is being deleted must open nothing, whatever the disk says.
        self.0.keyring.remove(hash);
        self.arrange();
        let hash = hash.to_owned();
        self.write(move |db| {
            let there = db.delete_key(&hash)?;
            db.forget_content(&hash)?;
            Ok(there)
        })
        .await
    }

    async fn put_key(&self, key: Arc<Key>) -> Result<(), Error> {
        let row = key.clone();
        self.write(move |db| db.put_key(&row)).await?;
        self.0.keyring.put(key);
        self.arrange();
        Ok(())
    }

    /// The newest records first, each with its place in the order of arrival.
    pub async fn page(&self, page: Page) -> Result<Vec<(i64, Generation)>, Error> {
        self.read(move |db| db.page(&page)).await
    }

    /// What was used, in the order of time. Records written in the last moments may not be counted yet; see [`Store::flush`].
    pub async fn used(&self, between: Between) -> Result<Vec<Used>, Error> {
        self.read(move |db| db.used(&between)).await
    }

    /// Oldest first.
    pub async fn things(&self, kind: Kind) -> Result<Vec<Thing>, Error> {
        self.read(move |db| db.things(kind)).await
    }

    /// Put in or change.
    pub async fn put_thing(&self, kind: Kind, thing: Thing) -> Result<(), Error> {
        self.write(move |db| db.put_thing(kind, &thing)).await
    }

    /// Says whether there was one.
    pub async fn delete_thing(&self, kind: Kind, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.write(move |db| db.delete_thing(kind, &id)).await
    }

    pub async fn put_content(&self, content: Content) -> Result<(), Error> {
        self.write(move |db| db.put_content(&content)).await
    }

    /// The same of a request of this key, unless the key has been deleted meanwhile.
    pub async fn put_content_of(&self, key_hash: &str, content: Content) -> Result<(), Error> {
        let (keyring, hash) = (self.keyring(), key_hash.to_owned());
        // Asked where deleting takes place: a key is gone from memory before what was kept of it is removed.
        self.write(move |db| if keyring.by_hash(&hash).is_some() { db.put_content(&content) } else { Ok(()) }).await
    }

    /// What was kept of a generation, compressed as it was put.
    pub async fn content(&self, generation: &str, now_ms: i64) -> Result<Option<Vec<u8>>, Error> {
        let generation = generation.to_owned();
        self.read(move |db| db.content(&generation, now_ms)).await
    }

    /// Remove content whose time is up, at most `most` pieces. Says how many went.
    pub async fn purge_content(&self, now_ms: i64, most: i64) -> Result<usize, Error> {
        self.write(move |db| db.purge_content(now_ms, most)).await
    }

    /// The limits of keys, and of what they are in, as they are now.
    fn arrange(&self) {
        self.0.ledger.hot.scopes.arrange(&self.0.keyring.all(), &self.0.directory.now());
    }

    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let name = name.to_owned();
        self.read(move |db| db.setting(&name)).await
    }

    pub async fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(move |db| db.put_setting(&name, &value)).await
    }

    /// Why the last write failed, while writes fail.
    pub fn trouble(&self) -> Option<String> {
        self.0.sight.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether requests are turned away because the journal cannot be written to.
    pub fn journal_refuses(&self) -> bool {
        self.0.ledger.journal.as_ref().is_some_and(|journal| journal.refuses())
    }

    /// When this returns, everything handed in before it is on disk, and the observer has seen it.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write_within(FLUSH, |_| Ok(())).await
    }

    /// Put away everything handed in and end. Later records, and slots still held, are lost: drain first.
    pub async fn close(self) -> Result<(), Error> {
        let Some(ended) = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(Error::Closed);
        };
        self.0.sight.closing.store(true, Ordering::Release);
        self.post(Letter::Close).await?;
        let ended = tokio::task::spawn_blocking(move || ended.join()).await;
        match ended {
            Ok(Ok(())) => self.trouble().map_or(Ok(()), |why| Err(Error::Database(why))),
            _ => Err(Error::Closed),
        }
    }

    /// Run on the reading connection, or in memory's stead on the writer's.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Told<T> + Send + 'static,
    ) -> Result<T, Error> {
        if self.0.reader.is_none() {
            return self.write(work).await;
        }
        let inner = self.0.clone();
        let read = move || {
            let reader = inner.reader.as_ref().ok_or(Error::Closed)?;
            Ok(work(&mut **reader.lock().unwrap_or_else(PoisonError::into_inner))?)
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| Error::Closed)?
    }

    /// Run on the writer's thread, after every record handed in so far.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Told<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_within(CHANGE, work).await
    }

    /// The same, or not at all: what could not begin in time is not done later, when nobody expects it any more.
    async fn write_within<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut dyn Database) -> Told<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let called_off = given_up.clone();
        let letter = Letter::Job(Box::new(move |db| {
            if !called_off.load(Ordering::Acquire) {
                // Whoever asked may have gone.
                let _ = answer.send(work(db));
            }
        }));
        let done = async {
            self.post(letter).await?;
            answered.await.map_err(|_| Error::Closed)
        };
        match timeout(patience, done).await {
            Ok(done) => Ok(done??),
            Err(_) => {
                given_up.store(true, Ordering::Release);
                Err(Error::Database(self.trouble().unwrap_or_else(|| "did not take the change in time".to_owned())))
            }
        }
    }

    async fn post(&self, letter: Letter) -> Result<(), Error> {
        self.0.ledger.to_writer.send(letter).await.map_err(|_| Error::Closed)?;
        self.0.writer.unpark();
        Ok(())
    }
}

/// What is kept in the database to tell the right pepper from others.
pub(crate) fn proof(keyring: &Keyring) -> String {
    hex(&keyring.mac(PROVEN))
}

/// A pepper that is not the one the keys were stored with would turn every key into a wrong one without a word.
fn prove_pepper(
    database: &mut dyn Database,
    keyring: &Keyring,
    dir: Option<&Dir>,
    shared: Option<&str>,
) -> Result<(), Error> {
    let proof = proof(keyring);
    if database.claim_setting(PEPPER_PROOF, &proof)?.as_ref() == Some(&proof) {
        return Ok(());
    }
    Err(match (shared, dir) {
        (Some(database), _) => Error::OtherPepper { database: database.to_owned() },
        (None, dir) => Error::Pepper {
            path: dir.map(|dir| dir.pepper_path.clone()).unwrap_or_default(),
            why: "the pepper is not the one the stored keys were made with; restore it from a backup",
        },
    })
}
