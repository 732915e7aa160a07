//! What rumqttd's console names of `axum`, and no more: the console starts only where it is configured,
//! which the bench's broker never does. Were it started, it would fail and say so.

use std::io;

/// Routes that lead nowhere.
#[derive(Debug, Default)]
pub struct Router;

impl Router {
    /// As it is called.
    pub fn new() -> Self {
        Self
    }

    /// Forgets the route.
    pub fn route(self, _path: &str, _method: routing::MethodRouter) -> Self {
        self
    }

    /// Forgets the state.
    pub fn with_state<S>(self, _state: S) -> Self {
        self
    }
}

/// Always fails.
pub async fn serve<L>(_listener: L, _router: Router) -> io::Result<()> {
    Err(io::Error::other("Goldline is built without the console of rumqttd"))
}

/// A value that would be answered as JSON.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T> response::IntoResponse for Json<T> {}

/// What a handler asks for.
pub mod extract {
    /// The state that all handlers share.
    #[derive(Debug)]
    pub struct State<S>(pub S);

    /// What the path of a request holds.
    #[derive(Debug)]
    pub struct Path<T>(pub T);
}

/// What a handler answers.
pub mod response {
    use std::convert::Infallible;

    /// Whatever can be an answer.
    pub trait IntoResponse {}

    /// An answer with a body.
    #[derive(Debug)]
    pub struct Response<T>(pub T);

    impl<T> Response<T> {
        /// One with that body.
        pub fn new(body: T) -> Self {
            Self(body)
        }
    }

    impl Response<()> {
        /// One whose body follows.
        pub fn builder() -> Builder {
            Builder
        }
    }

    impl<T> IntoResponse for Response<T> {}

    /// An answer whose body follows.
    #[derive(Debug)]
    pub struct Builder;

    impl Builder {
        /// Forgets the status.
        pub fn status(self, _status: u16) -> Self {
            self
        }

        /// With that body.
        pub fn body<T>(self, body: T) -> Result<Response<T>, Infallible> {
            Ok(Response(body))
        }
    }
}

/// Which method of a route has which handler.
pub mod routing {
    /// Forgets its handler.
    #[derive(Debug)]
    pub struct MethodRouter;

    /// A handler of GET.
    pub fn get<H>(_handler: H) -> MethodRouter {
        MethodRouter
    }

    /// A handler of POST.
    pub fn post<H>(_handler: H) -> MethodRouter {
        MethodRouter
    }
}
