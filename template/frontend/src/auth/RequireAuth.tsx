import { Navigate, Outlet, useLocation } from 'react-router'
import { useUser } from './user'

/** The pages within are for users. Others log in first, and then see the page that they wanted. */
export function RequireAuth() {
  const user = useUser()
  const { pathname, search } = useLocation()

  if (user === null) {
    const state = { from: pathname + search }
    return <Navigate to="/login" replace state={state} />
  }
  // For another user they start anew: nothing of the last one's stays.
  return <Outlet key={user} />
}
